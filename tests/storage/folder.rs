//! Whose folder it is, and folders of the operating system.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::disk::MemoryDisk;
use surfstore::raft::{Incarnation, Saved, ServerId};
use surfstore::storage::{Folder, OpenError, SetIdentity, Store, check};

use super::history::{History, Run};
use super::{LIFE, SET, SMALL, entry, open, save};

fn open_as(disk: &MemoryDisk, set: SetIdentity) -> Result<(Store<MemoryDisk>, Saved), OpenError> {
    Store::open(disk.restart(), set, SMALL, || panic!("the folder has an incarnation"))
}

#[test]
fn an_incarnation_is_drawn_once_for_the_life_of_a_folder() {
    let disk = MemoryDisk::default();
    assert_eq!(open(disk.clone()).unwrap().1, Saved::new(LIFE));
    assert_eq!(open_as(&disk, SET).unwrap().1, Saved::new(LIFE));
}

#[test]
fn a_folder_of_another_server_or_of_a_set_of_another_size_is_refused() {
    let disk = MemoryDisk::default();
    open(disk.clone()).unwrap();
    let Err(error) = open_as(&disk, SetIdentity { id: ServerId(2), ..SET }) else { panic!() };
    assert!(error.to_string().contains("belongs to server 1, but server 2 was started"), "{error}");
    let Err(error) = open_as(&disk, SetIdentity { size: 5, ..SET }) else { panic!() };
    assert!(error.to_string().contains("set of 3 servers, but the configuration has 5"), "{error}");
}

#[test]
fn servers_may_be_renamed_and_that_is_noted_once() {
    let disk = MemoryDisk::default();
    assert!(open(disk.clone()).unwrap().0.notes().is_empty());
    let renamed = SetIdentity { names: 9, ..SET };
    let next = disk.restart();
    let (store, _) = Store::open(next.clone(), renamed, SMALL, || LIFE).unwrap();
    assert!(store.notes()[0].contains("names"), "{:?}", store.notes());
    assert!(open_as(&next, renamed).unwrap().0.notes().is_empty());
}

#[test]
fn a_folder_of_a_newer_format_is_refused() {
    let disk = MemoryDisk::default();
    open(disk.clone()).unwrap();
    let mut files = disk.files();
    let meta = files.get_mut("meta").unwrap();
    let end = meta.len() - 4;
    meta[8] += 1;
    let crc = crc32c::crc32c(&meta[..end]);
    meta[end..].copy_from_slice(&crc.to_le_bytes());
    let disk = MemoryDisk::with(files);
    assert!(matches!(open_as(&disk, SET), Err(OpenError::NewerFormat(2))));
    assert!(matches!(check(&disk), Err(OpenError::NewerFormat(2))));
}

#[test]
fn what_does_not_belong_to_a_server_is_neither_read_nor_changed() {
    let foreign = ["lost+found", "x.log", "1.log", "README", "00000000000000zz.log", "y.snapshot"];
    let files: BTreeMap<_, _> =
        foreign.iter().map(|name| ((*name).to_owned(), b"foreign".to_vec())).collect();
    let disk = MemoryDisk::with(files.clone());
    assert!(matches!(check(&disk), Err(OpenError::NoData)));
    let (mut store, state) = open(disk.clone()).unwrap();
    store.save(save(&state, 1, vec![entry(1, "a", 1)])).unwrap();
    assert_eq!(open_as(&disk, SET).unwrap().1.entries.len(), 1);
    assert!(files.iter().all(|(name, bytes)| disk.files()[name] == *bytes));
}

#[test]
fn a_folder_of_the_operating_system_keeps_what_is_done() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("data");
    let mut state = Saved::new(LIFE);
    for seed in 0..8 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut store, saved) = open(Folder::open(&path).unwrap()).unwrap();
        assert_eq!(saved, state);
        let mut run = Run::after(saved);
        run.go(&mut store, &History::draw(&mut random, state, 30).steps).unwrap();
        state = run.state;
        // The space of segments and the snapshot, without files that are on their way in or out.
        while store.prepare().unwrap() {}
        let bytes = fs::read_dir(&path).unwrap().map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let counts =
                name.ends_with(".log") || name.ends_with(".snapshot") || name == "segment.new";
            if counts { entry.metadata().unwrap().len() } else { 0 }
        });
        assert_eq!(bytes.sum::<u64>(), store.bytes_on_disk());
    }
    let report = check(&Folder::existing(&path).unwrap()).unwrap();
    assert_eq!(report.set, SET);
    assert_eq!(report.incarnation, state.hard_state.incarnation);
    assert_eq!(report.last_index, state.base().plus(state.entries.len()));
    assert_eq!(report.history, Some(Incarnation(77)));
    let text = report.to_string();
    assert!(text.starts_with("server: 1 of 3, names 0000000000001234\n"), "{text}");
}

#[test]
fn a_folder_is_locked_while_a_process_has_it() {
    let parent = tempfile::tempdir().unwrap();
    let folder = Folder::open(parent.path()).unwrap();
    assert!(matches!(Folder::open(parent.path()), Err(OpenError::Locked)));
    assert!(matches!(Folder::existing(parent.path()), Err(OpenError::Locked)));
    drop(folder);
    assert!(Folder::open(parent.path()).is_ok());
}

#[test]
fn a_folder_is_created_but_not_its_parent() {
    let parent = tempfile::tempdir().unwrap();
    assert!(matches!(Folder::existing(&parent.path().join("a")), Err(OpenError::Io(_))));
    assert!(matches!(Folder::open(&parent.path().join("a/b")), Err(OpenError::Io(_))));
    assert!(Folder::open(&parent.path().join("a")).is_ok());
    fs::write(parent.path().join("file"), "").unwrap();
    assert!(Folder::open(&parent.path().join("file")).is_ok_and(|file| open(file).is_err()));
}

#[test]
fn a_new_folder_is_for_its_user_only_and_an_existing_one_keeps_its_mode() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("data");
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    drop(Folder::open(&path).unwrap());
    assert_eq!(mode(), 0o700);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
    drop(Folder::open(&path).unwrap());
    assert_eq!(mode(), 0o750);
}

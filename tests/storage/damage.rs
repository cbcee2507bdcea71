//! Damaged folders. They are refused, or the damage makes no difference.

use std::collections::BTreeMap;

use support::disk::{MemoryDisk, SECTOR};
use surfstore::raft::{Incarnation, Saved};
use surfstore::storage::{OpenError, Store, check};

use super::history::{Run, Step};
use super::{LIFE, SET, SMALL, at, entry, open, reopen, save, snapshot, vote, zeros};

type Files = BTreeMap<String, Vec<u8>>;

/// The folder of a server that has written segments and a snapshot, and what is in it. The last record is acknowledged,
/// has zeros, and goes over several sectors.
fn folder() -> (Files, Saved) {
    let disk = MemoryDisk::default();
    let (mut store, saved) = open(disk.clone()).unwrap();
    let mut run = Run::after(saved);
    let voted = Saved { hard_state: vote(2, 1), ..Saved::new(LIFE) };
    let mut steps = vec![
        Step::Save(save(&voted, 1, vec![entry(1, "a", 1000), entry(1, "b", 600)])),
        Step::Save(save(&voted, 3, vec![entry(2, "c", 700)])),
        Step::Begin(snapshot(at(1, 2), 30)),
    ];
    steps.extend([Step::Piece, Step::Piece, Step::Piece]);
    let later = Saved { hard_state: vote(3, 2), ..Saved::new(LIFE) };
    steps.push(Step::Save(save(&later, 4, vec![entry(3, "d", 300)])));
    steps.push(Step::Save(save(&later, 5, vec![entry(3, "e", 100), zeros(3, "z", 1100)])));
    run.go(&mut store, &steps).unwrap();
    let files = disk.files();
    assert!(files.keys().filter(|name| name.ends_with(".log")).count() > 1, "{:?}", files.keys());
    assert!(files.keys().any(|name| name.ends_with(".snapshot")), "{:?}", files.keys());
    (files, run.state)
}

fn last_segment(files: &Files) -> String {
    files.keys().filter(|name| name.ends_with(".log")).max().unwrap().clone()
}

/// The place after the last byte that is not 0.
fn end(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

/// Fails unless the folder is refused, or is read as if it was not damaged. Returns whether it is refused.
fn is_refused(files: Files, state: &Saved, what: &str) -> bool {
    let disk = MemoryDisk::with(files.clone());
    let report = check(&disk);
    assert_eq!(disk.files(), files, "{what}: a check changes nothing");
    match open(disk.clone()) {
        Ok((_, read)) => {
            assert_eq!(read, *state, "{what}");
            assert!(report.is_ok(), "{what}: refused by the check alone");
            assert_eq!(reopen(&disk), *state, "{what}: opened again");
            false
        }
        Err(error) => {
            assert_eq!(report.map_err(|error| error.to_string()), Err(error.to_string()), "{what}");
            true
        }
    }
}

/// The folder with a file changed.
fn with(files: &Files, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Files {
    let mut files = files.clone();
    change(files.get_mut(name).unwrap());
    files
}

#[test]
fn no_flipped_bit_goes_unnoticed_and_makes_a_difference() {
    let (files, state) = folder();
    assert!(!is_refused(files.clone(), &state, "intact"));
    let (mut refused, mut harmless) = (0, 0);
    for (name, bytes) in &files {
        for place in 0..bytes.len() * 8 {
            let changed = with(&files, name, |bytes| bytes[place / 8] ^= 1 << (place % 8));
            let what = format!("bit {} of byte {} of {name}", place % 8, place / 8);
            match is_refused(changed, &state, &what) {
                true => refused += 1,
                false => harmless += 1,
            }
        }
    }
    assert!(
        20_000 < refused && 0 < harmless,
        "{refused} are refused, {harmless} make no difference"
    );
}

#[test]
fn no_truncated_file_goes_unnoticed() {
    let (files, state) = folder();
    for (name, bytes) in &files {
        for length in 0..bytes.len() {
            let changed = with(&files, name, |bytes| bytes.truncate(length));
            assert!(is_refused(changed, &state, name), "{name} has {length} bytes");
        }
    }
}

#[test]
fn no_missing_file_goes_unnoticed_except_the_last_segment() {
    let disk = MemoryDisk::default();
    let (mut store, mut state) = open(disk.clone()).unwrap();
    for index in 1..=8 {
        let change = save(&state, index, vec![entry(1, "a", 900)]);
        assert!(state.apply(change.clone()));
        store.save(change).unwrap();
    }
    let mut folders = vec![(disk.files(), state.clone())];
    store.begin_snapshot(snapshot(at(1, 2), 30)).unwrap();
    while store.write_piece().unwrap() {}
    while store.prepare().unwrap() {}
    state.compact(snapshot(at(1, 2), 30));
    folders.push((disk.files(), state));
    for (files, state) in folders {
        let last = last_segment(&files);
        let needed = |name: &&String| **name != last && !name.ends_with(".new");
        assert!(4 <= files.keys().filter(needed).count(), "{:?}", files.keys());
        for name in files.keys().filter(needed) {
            let mut left = files.clone();
            left.remove(name);
            assert!(is_refused(left.clone(), &state, name), "{name} is missing");
            let Err(OpenError::Damaged { file, .. }) = check(&MemoryDisk::with(left)) else {
                panic!("{name} is missing, and that is called something else than damage");
            };
            let is_first = Some(name) == files.keys().next();
            assert!(is_first || name == "meta" || file == *name, "{file} is blamed for {name}");
        }
    }
}

#[test]
fn a_folder_that_has_lost_all_of_its_records_is_not_taken_for_a_new_one() {
    let disk = MemoryDisk::default();
    let (_, state) = open(disk.clone()).unwrap();
    let mut files = disk.files();
    let empty = files.remove("0000000000000001.log").expect("the first segment");
    files.insert("0000000000000005.log".to_owned(), empty);
    assert!(is_refused(files, &state, "all records are missing"));
}

#[test]
fn a_large_segment_that_is_truncated_to_the_usual_size_is_refused() {
    let disk = MemoryDisk::default();
    let (mut store, mut state) = open(disk.clone()).unwrap();
    let change = save(&state, 1, vec![entry(1, "large", 9000)]);
    assert!(state.apply(change.clone()));
    store.save(change).unwrap();
    let files = disk.files();
    let last = last_segment(&files);
    assert!(9000 < files[&last].len());
    for length in [SMALL.segment as usize, end(&files[&last]) - 1] {
        assert!(is_refused(with(&files, &last, |bytes| bytes.truncate(length)), &state, "large"));
    }
}

#[test]
fn a_last_record_that_lacks_a_sector_was_not_saved_and_is_cut() {
    let (files, _) = folder();
    let last = last_segment(&files);
    let bytes = &files[&last];
    let end = end(bytes);
    let mut cut = 0;
    // From the end: sectors of the last record, of which each can be missing.
    for sector in ((end - 1200) / SECTOR + 1..=(end - 1) / SECTOR).rev() {
        let changed = with(&files, &last, |bytes| {
            bytes[sector * SECTOR..(sector + 1) * SECTOR].fill(0);
        });
        let disk = MemoryDisk::with(changed);
        assert!(check(&disk).unwrap().is_torn);
        let (mut store, mut read) = open(disk.clone()).unwrap();
        assert_eq!(read.entries.len(), 2, "the record before is the last");
        assert_eq!(store.notes().len(), 1, "{:?}", store.notes());
        // What comes next is read back, and nothing of what was cut.
        let next = save(&read, 5, vec![entry(3, "next", 10)]);
        assert!(read.apply(next.clone()));
        store.save(next).unwrap();
        assert_eq!(reopen(&disk), read);
        assert!(!check(&disk).unwrap().is_torn);
        cut += 1;
    }
    assert!(2 <= cut);
}

#[test]
fn a_sector_of_zeros_in_an_earlier_segment_is_damage() {
    let (files, state) = folder();
    let last = last_segment(&files);
    for name in files.keys().filter(|name| name.ends_with(".log") && **name != last) {
        for sector in 0..end(&files[name]).div_ceil(SECTOR) {
            let changed = with(&files, name, |bytes| {
                bytes[sector * SECTOR..(sector + 1) * SECTOR].fill(0);
            });
            assert!(is_refused(changed.clone(), &state, name), "sector {sector} of {name}");
            let Err(OpenError::Damaged { file, .. }) = check(&MemoryDisk::with(changed)) else {
                panic!("it is called something else than damage");
            };
            assert_eq!(file, *name, "another file is blamed");
        }
    }
}

#[test]
fn a_record_that_lacks_a_sector_is_damaged_if_anything_was_written_behind_it() {
    let disk = MemoryDisk::default();
    let (mut store, mut state) = open(disk.clone()).unwrap();
    let mut ends = Vec::new();
    for index in 1..=4 {
        let change = save(&state, index, vec![entry(1, "a", 420)]);
        assert!(state.apply(change.clone()));
        store.save(change).unwrap();
        ends.push(end(&disk.files()["0000000000000001.log"]));
    }
    let files = disk.files();
    assert_eq!(files.len(), 2, "it is one segment");
    let last = ends[2].next_multiple_of(16);
    assert!(last % SECTOR != 0 && last / SECTOR < (ends[3] - 1) / SECTOR, "{ends:?}");
    // The sector in which the last record begins has the end of the one before as well, but not its header.
    for sector in 0..=last / SECTOR {
        let changed = with(&files, "0000000000000001.log", |bytes| {
            bytes[sector * SECTOR..(sector + 1) * SECTOR].fill(0);
        });
        assert!(is_refused(changed, &state, "one segment"), "sector {sector} is zeros");
    }
}

#[test]
fn nothing_old_behind_the_end_of_the_log_is_read_again() {
    let disk = MemoryDisk::default();
    let (mut store, mut state) = open(disk.clone()).unwrap();
    let mut lengths = Vec::new();
    for index in 1..=4 {
        let change = save(&state, index, vec![entry(1, "x", 100)]);
        assert!(state.apply(change.clone()));
        store.save(change).unwrap();
        lengths.push(end(&disk.files()[&last_segment(&disk.files())]));
    }
    let files = disk.files();
    let last = last_segment(&files);
    let place = lengths[3].next_multiple_of(16);
    for first in [0, lengths[0].next_multiple_of(16), lengths[1].next_multiple_of(16)] {
        let stale = files[&last][first..lengths[2]].to_vec();
        let behind = |place: usize| {
            with(&files, &last, |bytes| bytes[place..place + stale.len()].copy_from_slice(&stale))
        };
        // At once behind the end, it is no record that a write in part can have left.
        assert!(is_refused(behind(place), &state, "at once"));
        assert!(!is_refused(behind(place + 160), &state, "further behind"));
    }
}

#[test]
fn a_file_of_another_folder_is_refused() {
    let (files, state) = folder();
    let other = MemoryDisk::default();
    let life = || Incarnation(LIFE.0 + 1);
    let (mut store, saved) = Store::open(other.clone(), SET, SMALL, life).unwrap();
    let voted = Saved { hard_state: vote(2, 1), ..saved };
    store.save(save(&voted, 1, vec![entry(1, "a", 1000), entry(1, "b", 600)])).unwrap();
    store.begin_snapshot(snapshot(at(1, 2), 30)).unwrap();
    while store.write_piece().unwrap() {}
    let other = other.files();
    let shared: Vec<_> = files.keys().filter(|name| other.contains_key(*name)).collect();
    assert!(2 <= shared.len(), "{shared:?}");
    for name in shared {
        let changed = with(&files, name, |bytes| bytes.clone_from(&other[name]));
        assert!(is_refused(changed, &state, name), "{name} is of another folder");
    }
}

#[test]
fn an_error_names_the_file_and_the_byte_and_says_what_to_do() {
    let (files, _) = folder();
    let first = files.keys().find(|name| name.ends_with(".log")).unwrap();
    let disk = MemoryDisk::with(with(&files, first, |bytes| bytes[20] ^= 1));
    let Err(error) = open(disk) else { panic!("it is accepted") };
    assert!(matches!(&error, OpenError::Damaged { file, byte: 0, .. } if file == first));
    let text = error.to_string();
    for part in [first, "byte 0", "move the folder away"] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn a_folder_with_data_that_does_not_say_whose_it_is_names_the_file_that_is_missing() {
    let (mut files, _) = folder();
    files.remove("meta");
    let disk = MemoryDisk::with(files);
    for error in [open(disk.clone()).err(), check(&disk).err()] {
        let text = error.expect("it is accepted").to_string();
        assert!(text.starts_with("meta is damaged at byte 0: "), "{text}");
        assert!(text.contains("is missing"), "{text}");
    }
}

//! The outcome of an update if answers are lost.

use std::thread;
use std::time::Instant;

use support::stage::{Act, FALSE, Stage, TRUE, empty_map, map, soon, update};
use support::wait::{PATIENCE, wait_until};
use surfstore::client::blocking::Client;
use surfstore::client::{Error, Limits, Outcome};

fn client(stage: &Stage) -> Client {
    Client::new(std::slice::from_ref(&stage.address), Limits::default())
}

/// A server that closes the connection at the first update, and then has this map.
fn loses_one(then: fn() -> Act) -> Stage {
    Stage::new(move |method, before| match (method, before) {
        ("updatefile", 0) => Act::Close,
        ("updatefile", _) => TRUE,
        _ => then(),
    })
}

#[test]
fn an_update_whose_answer_is_lost_is_found_in_the_map_and_not_sent_again() {
    let stage = loses_one(|| map("a", 1, "mine"));
    assert_eq!(client(&stage).update(&update("a", 1)), Ok(Outcome::Applied));
    assert_eq!(stage.heard("updatefile"), 1);
}

#[test]
fn an_update_that_is_not_in_the_map_is_sent_again() {
    let stage = loses_one(empty_map);
    assert_eq!(client(&stage).update(&update("a", 1)), Ok(Outcome::Applied));
    assert_eq!((stage.heard("updatefile"), stage.heard("getfileinfomap")), (2, 1));
}

#[test]
fn an_update_whose_version_went_to_another_is_refused() {
    let stage = loses_one(|| map("a", 1, "theirs"));
    let refused = Outcome::Refused { stored: Some(1) };
    assert_eq!(client(&stage).update(&update("a", 1)), Ok(refused));
    assert_eq!(stage.heard("updatefile"), 1);
}

#[test]
fn an_update_that_later_ones_have_covered_stays_unknown() {
    let stage = loses_one(|| map("a", 2, "mine"));
    let outcome = client(&stage).update(&update("a", 1));
    assert!(matches!(outcome, Ok(Outcome::Unknown { .. })), "{outcome:?}");
    assert_eq!(stage.heard("updatefile"), 1);
}

#[test]
fn every_answer_that_leaves_an_update_open_sends_the_client_to_the_map() {
    for open in [
        || Act::Fault(3, "outcome unknown".to_owned()),
        || Act::Fault(-32603, "internal error".to_owned()),
        || Act::Status(502),
        || Act::Close,
        || Act::Silence,
    ] {
        let stage = Stage::new(move |method, _| match method {
            "updatefile" => open(),
            _ => map("a", 1, "mine"),
        });
        let mut client = Client::new(std::slice::from_ref(&stage.address), soon());
        assert_eq!(client.update(&update("a", 1)), Ok(Outcome::Applied));
        assert_eq!(stage.heard("updatefile"), 1);
    }
}

#[test]
fn a_refusal_after_a_lost_copy_is_believed_only_if_the_map_settles_it() {
    let losing = |first: fn() -> Act| {
        Stage::new(move |method, before| match (method, before) {
            ("updatefile", 0) => first(),
            ("updatefile", _) => FALSE,
            _ => map("a", 1, "theirs"),
        })
    };
    let lost = losing(|| Act::Close);
    let outcome = client(&lost).update(&update("a", 3));
    assert!(matches!(outcome, Ok(Outcome::Unknown { .. })), "{outcome:?}");
    let logged = losing(|| Act::Fault(3, "outcome unknown".to_owned()));
    let refused = Outcome::Refused { stored: Some(1) };
    assert_eq!(client(&logged).update(&update("a", 3)), Ok(refused));
}

#[test]
fn an_update_is_unknown_when_the_map_cannot_be_read_in_time() {
    let stage = Stage::new(|_, _| Act::Silence);
    let start = Instant::now();
    let outcome = Client::new(std::slice::from_ref(&stage.address), soon()).update(&update("a", 1));
    assert!(matches!(outcome, Ok(Outcome::Unknown { .. })), "{outcome:?}");
    assert!(start.elapsed() < 4 * soon().deadline, "{:?}", start.elapsed());
}

#[test]
fn a_refused_update_tells_the_stored_version_and_reads_no_map() {
    let stage = Stage::new(|method, _| match method {
        "updatefile" => FALSE,
        _ => Act::Answer(7.into()),
    });
    let refused = Outcome::Refused { stored: Some(7) };
    assert_eq!(client(&stage).update(&update("a", 3)), Ok(refused));
    assert_eq!(stage.heard("getfileinfomap"), 0);
}

#[test]
fn the_stored_version_is_asked_for_as_long_as_the_update_may_take_and_no_longer() {
    let stage = Stage::new(|method, _| {
        if method == "updatefile" {
            thread::sleep(soon().deadline * 4 / 5);
            FALSE
        } else {
            Act::Silence
        }
    });
    let limits = Limits { attempt: soon().deadline, ..soon() };
    let start = Instant::now();
    let outcome = Client::new(std::slice::from_ref(&stage.address), limits).update(&update("a", 3));
    assert_eq!(outcome, Ok(Outcome::Refused { stored: None }));
    assert!(start.elapsed() < limits.deadline * 4 / 3, "{:?}", start.elapsed());
}

#[test]
fn a_keep_alive_connection_that_has_ended_is_replaced_before_an_update_is_sent() {
    let stage = Stage::new(|_, _| Act::AnswerAndClose(true.into()));
    let mut client = client(&stage);
    for version in 1..=20 {
        assert_eq!(client.update(&update("a", version)), Ok(Outcome::Applied));
        let ended = usize::try_from(version).unwrap();
        wait_until(PATIENCE, "the connection has ended", || stage.ended() == ended);
    }
    assert_eq!((stage.heard("updatefile"), stage.heard("getfileinfomap")), (20, 0));
}

#[test]
fn an_answer_that_no_server_gives_leaves_an_update_unknown() {
    let stage = Stage::new(|_, _| Act::Answer("yes".into()));
    let outcome = client(&stage).update(&update("a", 1));
    assert!(matches!(outcome, Ok(Outcome::Unknown { .. })), "{outcome:?}");
}

#[test]
fn a_call_that_servers_would_not_read_to_its_end_is_not_sent() {
    let stage = Stage::new(|_, _| TRUE);
    let mut large = update("a", 1);
    large.hashes = ["x".repeat(9 << 20).as_str().into()].into();
    assert_eq!(client(&stage).update(&large), Err(Error::TooLarge));
    assert_eq!(stage.heard(""), 0);
}

#[test]
fn what_xml_cannot_carry_is_not_sent() {
    let stage = Stage::new(|_, _| TRUE);
    let mut bad = update("a\0", 1);
    assert_eq!(client(&stage).update(&bad), Err(Error::Unfit));
    bad = update("a", 1);
    bad.hashes = ["\u{1}".into()].into();
    assert_eq!(client(&stage).update(&bad), Err(Error::Unfit));
    assert_eq!(stage.heard(""), 0);
}

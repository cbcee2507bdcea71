//! How the leader is found.

use std::time::{Duration, Instant};

use support::stage::{Act, Stage, TRUE, empty_map, map, soon, update};
use support::turns::free_port;
use surfstore::client::blocking::{Client, wait};
use surfstore::client::{Error, Limits, Outcome};
use surfstore::config::Address;
use surfstore::value::Value;

fn leader() -> Stage {
    Stage::new(|method, _| if method == "updatefile" { TRUE } else { empty_map() })
}

fn refusing(code: i32, message: String) -> Stage {
    Stage::new(move |_, _| Act::Fault(code, message.clone()))
}

fn dead() -> Address {
    Address { host: "127.0.0.1".to_owned(), port: free_port() }
}

fn client(addresses: &[&Address]) -> Client {
    let addresses: Vec<_> = addresses.iter().map(|address| (*address).clone()).collect();
    Client::new(&addresses, soon())
}

#[test]
fn the_leader_that_is_named_is_asked_next_and_remembered() {
    let (other, leader) = (leader(), leader());
    let follower = refusing(2, format!("not the leader: {} is", leader.address));
    let mut client = client(&[&follower.address, &other.address, &leader.address]);
    for version in 1..=3 {
        assert_eq!(client.update(&update("a", version)), Ok(Outcome::Applied));
    }
    assert_eq!((follower.heard("updatefile"), other.heard("updatefile")), (1, 0));
    assert_eq!(leader.heard("updatefile"), 3);
}

#[test]
fn a_named_leader_that_is_not_of_the_set_is_not_followed() {
    let (stranger, leader) = (leader(), leader());
    let follower = refusing(2, format!("not the leader: {} is", stranger.address));
    let mut client = client(&[&follower.address, &leader.address]);
    assert_eq!(client.update(&update("a", 1)), Ok(Outcome::Applied));
    assert_eq!(stranger.heard(""), 0);
}

#[test]
fn crashed_and_dead_servers_are_passed_over() {
    let crashed = refusing(1, "isCrashed: this server is crashed".to_owned());
    let leader = leader();
    let mut client = client(&[&dead(), &crashed.address, &leader.address]);
    assert_eq!(client.update(&update("a", 1)), Ok(Outcome::Applied));
    assert_eq!(leader.heard("updatefile"), 1, "nothing was open");
}

#[test]
fn a_program_that_takes_no_calls_at_all_is_passed_over() {
    let (web, leader) = (Stage::new(|_, _| Act::Status(404)), leader());
    assert_eq!(
        client(&[&web.address, &leader.address]).update(&update("a", 1)),
        Ok(Outcome::Applied)
    );
    assert_eq!(leader.heard("getfileinfomap"), 0, "nothing was open");
    let outcome = client(&[&web.address]).update(&update("a", 1));
    let Err(Error::NoLeader(last)) = outcome else { panic!("{outcome:?}") };
    assert!(last.contains("HTTP status 404"), "{last}");
    let answer = wait(client(&[&web.address]).servers()[0].ping());
    assert!(matches!(answer, Err(Error::NotServed(_))), "{answer:?}");
}

#[test]
fn a_search_for_the_leader_takes_no_longer_than_it_may() {
    let silent = Stage::new(|_, _| Act::Silence);
    let limits = Limits { attempt: soon().deadline * 4 / 5, ..soon() };
    let start = Instant::now();
    let outcome = Client::new(std::slice::from_ref(&silent.address), limits).leader();
    assert!(matches!(outcome, Err(Error::NoLeader(_))), "{outcome:?}");
    assert!(start.elapsed() < limits.deadline * 4 / 3, "{:?}", start.elapsed());
}

#[test]
fn a_poll_that_was_cut_short_is_not_given_as_the_reason() {
    let stage = Stage::new(|_, before| match before {
        0 => Act::Fault(-32601, "no such method".to_owned()),
        _ => Act::Silence,
    });
    let limits = Limits { attempt: soon().deadline, ..soon() };
    let outcome = Client::new(std::slice::from_ref(&stage.address), limits).leader();
    let told = "no server says that it is the leader; fault -32601: no such method";
    assert_eq!(outcome, Err(Error::NoLeader(told.to_owned())));
}

#[test]
fn a_wait_without_a_limit_is_allowed() {
    let stage = leader();
    let (deadline, attempt) = (Duration::MAX, Duration::MAX);
    let limits = Limits { deadline, attempt, ..Limits::default() };
    let mut client = Client::new(std::slice::from_ref(&stage.address), limits);
    assert_eq!(client.update(&update("a", 1)), Ok(Outcome::Applied));
    assert!(client.files().is_ok());
    assert!(wait(client.servers()[0].call("updatefile", &[])).is_ok());
}

#[test]
fn a_busy_leader_is_asked_again() {
    let stage = Stage::new(|_, before| match before {
        0..3 => Act::Fault(4, "busy".to_owned()),
        _ => TRUE,
    });
    assert_eq!(client(&[&stage.address]).update(&update("a", 1)), Ok(Outcome::Applied));
    assert_eq!(stage.heard("updatefile"), 4);
}

#[test]
fn a_leader_that_stays_busy_is_told_as_what_it_is() {
    let busy = || Act::Fault(4, "busy: this server's memory is used up".to_owned());
    let stage = Stage::new(move |_, _| busy());
    let follower = refusing(2, format!("not the leader: {} is", stage.address));
    let mut client = client(&[&follower.address, &stage.address]);
    for error in [client.update(&update("a", 1)).unwrap_err(), client.files().unwrap_err()] {
        let told = "fault 4: busy: this server's memory is used up";
        assert!(matches!(error, Error::Fault(_)) && error.to_string() == told, "{error:?}");
    }
}

/// A second attempt at one of them has more time, but the first one at another has not.
#[test]
fn several_silent_servers_leave_time_for_the_leader() {
    let (silent, leader) = (Stage::new(|_, _| Act::Silence), leader());
    let limits = Limits { deadline: Duration::from_secs(4), ..Limits::default() };
    let mut all = vec![silent.address.clone(); 3];
    all.push(leader.address.clone());
    let mut client = Client::new(&all, limits);
    assert_eq!(client.update(&update("a", 1)), Ok(Outcome::Applied));
    assert_eq!((silent.heard("updatefile"), silent.heard("getfileinfomap")), (1, 2));
    assert_eq!((leader.heard("updatefile"), leader.heard("getfileinfomap")), (1, 1));
}

#[test]
fn a_silent_server_rests_while_the_others_elect_a_leader() {
    let begin = Instant::now();
    let silent = Stage::new(|_, _| Act::Silence);
    let follower = refusing(2, "not the leader".to_owned());
    let limits = Limits { deadline: Duration::from_secs(4), ..Limits::default() };
    let elected = limits.deadline * 3 / 8;
    let leader = Stage::new(move |_, _| match begin.elapsed() < elected {
        true => Act::Fault(2, "not the leader".to_owned()),
        false => empty_map(),
    });
    let all = [&silent, &follower, &leader].map(|stage| stage.address.clone());
    assert_eq!(Client::new(&all, limits).files(), Ok([].into()));
    assert_eq!(silent.heard("getfileinfomap"), 1);
}

#[test]
fn servers_that_name_each_other_are_not_asked_without_a_pause() {
    let addresses = [dead(), dead()];
    let stages = addresses.clone().map(|_| refusing(2, "not the leader".to_owned()));
    let outcome = client(&[&stages[0].address, &stages[1].address]).update(&update("a", 1));
    // It is open if the deadline cuts the last attempt short.
    let is_open = matches!(outcome, Ok(Outcome::Unknown { .. }));
    assert!(is_open || matches!(outcome, Err(Error::NoLeader(_))), "{outcome:?}");
    assert!(stages[0].heard("updatefile") <= 30, "{}", stages[0].heard("updatefile"));
}

#[test]
fn without_any_server_an_update_has_no_effect_when_time_is_up() {
    let start = Instant::now();
    let outcome = client(&[&dead(), &dead()]).update(&update("a", 1));
    assert_eq!(outcome, Err(Error::NoServer(2)));
    assert!(soon().deadline <= start.elapsed(), "they might have been about to start");
    assert!(start.elapsed() < 4 * soon().deadline, "{:?}", start.elapsed());
    assert!(matches!(client(&[]).files(), Err(Error::NoLeader(_))));
}

#[test]
fn a_search_ends_early_only_if_every_server_refuses_the_connection_for_long_enough() {
    let other = Stage::new(|_, _| Act::Status(404));
    let silent = Stage::new(|_, _| Act::Silence);
    let limits = Limits { refusals: soon().deadline / 10, ..soon() };
    for (addresses, refused) in [
        (vec![dead(), dead()], Some(2)),
        (vec![dead(), other.address.clone(), dead()], None),
        // While it rests, the others refuse again and again.
        (vec![silent.address.clone(), dead(), dead()], None),
    ] {
        let mut client = Client::new(&addresses, limits);
        let asks: [fn(&mut Client) -> Option<Error>; 3] = [
            |client| client.leader().err(),
            |client| client.files().err(),
            // After a server that did not answer, the outcome is unknown, which is no error.
            |client| client.update(&update("a", 1)).err(),
        ];
        for ask in asks {
            let start = Instant::now();
            let error = ask(&mut client);
            let took = start.elapsed();
            match refused {
                Some(count) => assert_eq!(error, Some(Error::NoServer(count))),
                None => assert!(matches!(error, None | Some(Error::NoLeader(_))), "{error:?}"),
            }
            assert!(limits.refusals <= took, "{took:?}");
            assert_eq!(took < limits.deadline, refused.is_some(), "{took:?}");
        }
    }
}

#[test]
fn a_read_whose_answer_is_lost_is_repeated() {
    let stage = Stage::new(|_, before| match before {
        0 => Act::Close,
        1 => Act::Fault(3, "outcome unknown".to_owned()),
        _ => map("a", 5, "mine"),
    });
    let files = client(&[&stage.address]).files().unwrap();
    assert_eq!(files["a"].version, 5);
    assert_eq!(stage.heard("getfileinfomap"), 3);
}

#[test]
fn a_fault_that_repeating_does_not_cure_is_given_to_the_caller_at_once() {
    let stage = refusing(-32602, "wrong parameters".to_owned());
    let outcome = client(&[&stage.address]).update(&update("a", 1));
    assert!(matches!(outcome, Err(Error::Fault(fault)) if fault.code == -32602));
    assert_eq!(stage.heard("updatefile"), 1);
}

#[test]
fn a_map_of_any_size_is_read_at_the_first_attempt() {
    let stage = Stage::new(|_, _| map("a", 1, &"x".repeat(65 << 20)));
    let mut client = Client::new(std::slice::from_ref(&stage.address), Limits::default());
    assert_eq!(client.files().unwrap()["a"].hashes.packed().len(), 2 * 9 + (65 << 20));
    assert_eq!(stage.heard("getfileinfomap"), 1);
}

#[test]
fn a_map_that_takes_longer_than_an_attempt_is_given_more_time() {
    let late = soon().attempt * 5;
    let stage = Stage::new(move |_, _| match map("a", 1, "mine") {
        Act::Answer(value) => Act::AnswerLate(late, value),
        other => other,
    });
    let limits = Limits { deadline: late * 8, ..soon() };
    let mut client = Client::new(std::slice::from_ref(&stage.address), limits);
    assert_eq!(client.files().unwrap()["a"].version, 1);
    assert_eq!(
        stage.heard("getfileinfomap"),
        4,
        "after one, two and four times the attempt's time"
    );
}

#[test]
fn versions_of_other_files_than_were_asked_for_are_not_taken() {
    for answers in [0, 1, 3] {
        let version = || Value::Array([1.into()].into());
        let stage = Stage::new(move |_, _| {
            Act::Answer(Value::Array((0..answers).map(|_| version()).collect()))
        });
        let versions = wait(client(&[&stage.address]).servers()[0].versions(&["a", "b"]));
        assert_eq!(versions, Err(Error::Unexpected("a version for each file")));
    }
}

#[test]
fn servers_are_asked_at_the_same_time() {
    let silent = Stage::new(|_, _| Act::Silence);
    let ready = Stage::new(|_, _| TRUE);
    let start = Instant::now();
    let all = [&silent.address, &silent.address, &silent.address, &ready.address];
    let answers = client(&all).at_each(async |server| server.ping().await);
    assert!(answers[3].is_ok() && answers[..3].iter().all(Result::is_err));
    assert!(start.elapsed() < 2 * soon().attempt, "{:?}", start.elapsed());
}

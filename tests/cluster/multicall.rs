//! `system.multicall`: several calls in one.

use std::time::Duration;

use support::client::{Answer, assert_fault, hash, list, update};
use support::harness::Cluster;
use support::wait::{PATIENCE, holds_for, wait_until};
use surfstore::value::Value;

/// One of the calls.
fn call(method: &str, params: &[Value]) -> Value {
    let params = Value::Array(params.into());
    Value::Struct([("methodName".into(), method.into()), ("params".into(), params)].into())
}

fn update_call(name: &str, version: i64) -> Value {
    call("surfstore.updatefile", &update(name, version, &hash("x")))
}

/// The result of each of the calls: the answer in an array, or the fault's struct.
#[track_caller]
fn answers(answer: Answer) -> Vec<Answer> {
    let Ok(Value::Array(answers)) = answer else { panic!("multicall answered {answer:?}") };
    let answer = |answer: Value| match answer {
        Value::Array(answer) => {
            Ok(<[Value; 1]>::try_from(answer.into_vec()).unwrap()).map(|[answer]| answer)
        }
        fault => Err(read_fault(&fault)),
    };
    answers.into_iter().map(answer).collect()
}

fn read_fault(fault: &Value) -> surfstore::xmlrpc::Fault {
    let Value::Struct(members) = fault else { panic!("neither an array nor a struct: {fault:?}") };
    match &**members {
        [(code, Value::Int(number)), (string, Value::String(message))] => {
            assert_eq!((&**code, &**string), ("faultCode", "faultString"));
            let (code, message) = ((*number).try_into().unwrap(), message.to_string());
            surfstore::xmlrpc::Fault { code, message }
        }
        other => panic!("no fault: {other:?}"),
    }
}

const MULTICALL: &str = "system.multicall";

#[test]
fn calls_are_made_in_order_and_each_has_its_answer_or_its_fault() {
    let (cluster, id) = Cluster::led(3);
    let calls = [
        update_call("a", 1),
        update_call("a", 1),
        update_call("a", 2),
        call("surfstore.tester_getversion", &["a".into()]),
        call("surfstore.nonsense", &[]),
        call("surfstore.ping", &[1.into()]),
        1.into(),
        Value::Struct([("methodName".into(), "surfstore.ping".into())].into()),
        call(MULTICALL, &[list([update_call("b", 1)])]),
        call("surfstore.getfileinfomap", &[]),
    ];
    let got = answers(cluster.at(id).call(MULTICALL, &[Value::Array(calls.into())]));
    let [first, again, second, version, nonsense, arity, number, lacking, nested, map] = &got[..]
    else {
        panic!("{got:?}")
    };
    let truths = [true.into(), false.into(), true.into(), 2.into()].map(Ok);
    assert_eq!([first, again, second, version].map(Answer::clone), truths);
    assert_fault(nonsense, -32601, "no method is called \"surfstore.nonsense\"");
    assert_fault(arity, -32602, "wrong parameters: surfstore.ping takes 0");
    for odd in [number, lacking] {
        assert_fault(odd, -32602, "wrong parameters: each call must be a struct");
    }
    assert_fault(nested, -32602, "wrong parameters: system.multicall cannot call itself");
    let stored = Value::Struct([("a".into(), list([2.into(), hash("x")]))].into());
    assert_eq!(*map, Ok(stored), "the call within the nested multicall was not made");
    assert_eq!(answers(cluster.at(id).call(MULTICALL, &[list([])])), []);
}

#[test]
fn more_than_64_calls_are_refused_and_none_of_them_is_made() {
    let (cluster, id) = Cluster::led(1);
    let leader = cluster.at(id);
    let calls =
        |count| Value::Array((1..=count).map(|version| update_call("a", version)).collect());
    for too_many in [65, 20_000] {
        let answer = leader.call(MULTICALL, &[calls(too_many)]);
        assert_fault(&answer, -32602, "wrong parameters: system.multicall makes at most 64 calls");
    }
    assert_eq!(leader.version("a"), 0);
    let got = answers(leader.call(MULTICALL, &[calls(64)]));
    assert_eq!(got, vec![Ok(true.into()); 64]);
    assert_eq!(leader.version("a"), 64);
    for wrong in [&[] as &[Value], &[1.into(), 2.into()]] {
        assert_fault(&leader.call(MULTICALL, wrong), -32602, "wrong parameters");
    }
}

#[test]
fn calls_that_wait_for_a_majority_wait_one_after_another() {
    let (cluster, id) = Cluster::led(3);
    let others = cluster.others(id);
    cluster.agree(id, &cluster.running(), "a", 1);
    cluster.crash(&others);
    let calls = list([
        call("surfstore.ping", &[]),
        update_call("a", 2),
        call("surfstore.getfileinfomap", &[]),
        update_call("a", 3),
    ]);
    let several = cluster.at(id).begin(MULTICALL, &[calls]);
    let waiting = || cluster.at(id).state().waiting_calls;
    wait_until(PATIENCE, "the update waits", || waiting() == 1);
    holds_for(Duration::from_secs(1), "the others have not started", || {
        several.is_blocked() && waiting() == 1
    });
    cluster.restore(&others);
    let got = answers(several.answer(PATIENCE));
    let map = Value::Struct([("a".into(), list([2.into(), hash("x")]))].into());
    assert_eq!(got, [Ok(true.into()), Ok(true.into()), Ok(map), Ok(true.into())]);
}

#[test]
fn a_crashed_server_answers_each_of_the_calls_as_it_answers_it_alone() {
    let (cluster, id) = Cluster::led(3);
    let server = cluster.at(id);
    let calls = list([
        call("surfstore.crash", &[]),
        call("surfstore.ping", &[]),
        update_call("a", 1),
        call("surfstore.restore", &[]),
        call("surfstore.isCrashed", &[]),
        update_call("a", 1),
    ]);
    let got = answers(server.call(MULTICALL, &[calls]));
    let [crashed, ping, refused, restored, is_crashed, follower] = &got[..] else {
        panic!("{got:?}")
    };
    for answer in [crashed, ping, restored] {
        assert_eq!(*answer, Ok(true.into()));
    }
    assert_fault(refused, 1, "isCrashed");
    assert_eq!(*is_crashed, Ok(false.into()));
    assert_fault(follower, 2, "not the leader");
}

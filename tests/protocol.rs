//! The protocol as tables: documents in, typed calls out, and answers back to documents.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use surfstore::blocks::{Block, BlockHash};
use surfstore::config::Config;
use surfstore::metadata::{Files, HashList, Leaf, Update, VERSION_MAX};
use surfstore::protocol::{
    self, Answer, Asked, LongAnswer, METHODS, NAME_BYTES_MAX, NoResponse, TypedCall,
    UPDATE_BYTES_MAX, fault,
};
use surfstore::raft::{
    self, Account, AppendEntries, AppendOutcome, AppendReply, BallotKind, Command, Entry, Failure,
    Identity, Incarnation, InstallSnapshot, LogIndex, NUMBER_MAX, Position, Reply, Request,
    RequestVote, Response, Roster, Round, ServerId, Term, VoteReply,
};
use surfstore::value::{DateTime, Double, Value};
use surfstore::xmlrpc::{self, Fault, write_call, write_fault, write_response};

/// A call of `method` with these parameters.
fn document(method: &str, params: &[Value]) -> Vec<u8> {
    write_call(method, |list| {
        params.iter().for_each(|value| list.param(|writer| writer.value(value)))
    })
}

/// How such a call is parsed.
fn read(method: &str, params: &[Value]) -> Result<TypedCall, Fault> {
    call_of(&document(method, params))
}

/// The one call in a document.
fn call_of(document: &[u8]) -> Result<TypedCall, Fault> {
    match protocol::read_call(document)? {
        Asked::One((_, call)) => call,
        Asked::Several(..) => panic!("it asks for several"),
    }
}

fn array(elements: &[Value]) -> Value {
    Value::Array(elements.into())
}

fn structure(members: &[(&str, Value)]) -> Value {
    Value::Struct(members.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
}

fn base64(bytes: &[u8]) -> Value {
    Value::Base64(bytes.into())
}

/// The update in such a call of `updatefile`.
fn update(name: Value, version: Value, hashes: Value) -> Result<Update, Fault> {
    match read("surfstore.updatefile", &[name, version, hashes])? {
        TypedCall::Raft(raft::Call::Update(update)) => Ok(update),
        other => panic!("{other:?} is not an update"),
    }
}

/// What an update with this third parameter stores.
fn stored(hashes: Value) -> Result<Value, Fault> {
    update("a".into(), 1.into(), hashes).map(|update| update.hashes.value())
}

fn double(number: f64) -> Value {
    Value::Double(Double::new(number).expect("the test's doubles are finite"))
}

fn date_time() -> Value {
    Value::DateTime(DateTime::new("19980717T14:08:55").expect("it has the form"))
}

#[test]
fn a_method_is_found_in_any_case_with_or_without_the_prefix_and_by_its_aliases() {
    for name in [
        "surfstore.getfileinfomap",
        "SURFSTORE.GetFileInfoMap",
        "getFileInfoMap",
        "getfileinfo",
        "surfstore.getfileinfos",
    ] {
        assert_eq!(read(name, &[]), Ok(TypedCall::Raft(raft::Call::ReadFiles)), "{name}");
    }
    assert_eq!(read("tester_getversion", &["a".into()]), Ok(TypedCall::Version("a".into())));
    assert_eq!(read("surfstore.getVersion", &["a".into()]), Ok(TypedCall::Version("a".into())));
    assert_eq!(read("system.listmethods", &[]), Ok(TypedCall::ListMethods));
}

#[test]
fn a_name_that_no_method_has_is_refused_by_name() {
    for name in
        ["nope", "surfstore.", "surfstore.surfstore.ping", "system.ping", "ping.", "surfstoreping"]
    {
        let fault = read(name, &[]).unwrap_err();
        assert_eq!(fault.code, fault::NO_SUCH_METHOD, "{name}");
        assert!(fault.message.contains(name), "{}", fault.message);
    }
}

/// The call of `method` with this as the rest of the document after its name.
fn with_rest(method: &str, rest: &str) -> Result<Asked, Fault> {
    let call = format!("<methodCall><methodName>{method}</methodName>{rest}</methodCall>");
    protocol::read_call(call.as_bytes())
}

/// Parameters, and other content after a method's name, that no method takes, with the fault that tells why.
const UNREADABLE: [(&str, i32); 6] = [
    ("<params><param><value><nil/></value></param></params>", -32602),
    ("<params><param><value><int>x</int></value></param></params>", -32602),
    ("<params><param><value><boolean>2</boolean></value></param></params>", -32602),
    ("<params><param/></params>", -32600),
    ("<params/><params/>", -32600),
    ("text", -32600),
];

#[test]
fn a_name_that_no_method_has_is_refused_whatever_the_parameters_are() {
    for (rest, code) in UNREADABLE {
        assert_eq!(with_rest("nope", rest).unwrap_err().code, fault::NO_SUCH_METHOD, "{rest}");
        let known = with_rest("ping", rest).expect("there is such a method");
        let Asked::One((method, Err(fault))) = known else { panic!("{known:?}") };
        assert_eq!((method.name, fault.code), ("surfstore.ping", code), "{rest}");
    }
    let params = format!("<params>{}</params>", "<param><value/></param>".repeat(65));
    assert_eq!(with_rest("nope", &params).unwrap_err().code, fault::NO_SUCH_METHOD);
    let many = vec!["x".into(); 5];
    assert_eq!(read("nope", &many).unwrap_err().code, fault::NO_SUCH_METHOD);
    for broken in ["<params>", "<params><param><value><nil></value></param></params>", "&x;"] {
        assert_eq!(with_rest("nope", broken).unwrap_err().code, -32700, "{broken}");
    }
}

#[test]
fn a_name_that_no_method_has_is_refused_within_a_multicall_whatever_the_parameters_are() {
    let unknown = [
        structure(&[("methodName", "nope".into())]),
        structure(&[("methodName", "nope".into()), ("params", array(&[1.into(), 2.into()]))]),
    ];
    let document = document("system.multicall", &[array(&unknown)]);
    let Ok(Asked::Several(_, calls)) = protocol::read_call(&document) else { panic!("it is one") };
    for call in calls {
        assert_eq!(call.unwrap_err().code, fault::NO_SUCH_METHOD);
    }
}

#[test]
fn a_hostile_name_is_shown_in_part_and_escaped() {
    let fault = read(&"\u{202e}x\n".repeat(1000), &[]).unwrap_err();
    assert!(
        fault.message.len() < 500 && !fault.message.contains(['\n', '\u{202e}']),
        "{}",
        fault.message
    );
}

#[test]
fn every_method_refuses_any_other_number_of_parameters_than_its_signature_has() {
    for method in &METHODS {
        let due = method.signature.len() - 1;
        for given in (0..5).filter(|given| *given != due) {
            let fault = read(method.name, &vec!["x".into(); given]).unwrap_err();
            assert_eq!(fault.code, fault::WRONG_PARAMETERS, "{} with {given}", method.name);
        }
    }
}

#[test]
fn every_method_accepts_parameters_of_its_signature() {
    // Only some messages of peers are accepted, whatever the parameter's type.
    let of_peers =
        ["surfstore.requestVote", "surfstore.appendEntries", "surfstore.installSnapshot"];
    for method in METHODS.iter().filter(|method| !of_peers.contains(&method.name)) {
        let params: Vec<Value> = method.signature[1..]
            .iter()
            .map(|kind| match *kind {
                "string" if method.name.starts_with("system.") => "surfstore.ping".into(),
                "string" => "x".into(),
                "int" => 1.into(),
                "array" => array(&["x".into()]),
                "base64" => base64(b"x"),
                other => panic!("a signature of {} has type {other}", method.name),
            })
            .collect();
        let asked = protocol::read_call(&document(method.name, &params));
        assert!(!matches!(asked, Err(_) | Ok(Asked::One((_, Err(_))))), "{asked:?}");
    }
}

#[test]
fn a_file_name_is_a_string_or_base64_of_one() {
    let named =
        |name: Value| update(name, 1.into(), array(&[])).map(|update| update.name.to_string());
    assert_eq!(named("  a\t".into()), Ok("  a\t".to_owned()), "it is not trimmed");
    assert_eq!(named(base64("ä".as_bytes())), Ok("ä".to_owned()));
    assert_eq!(named("".into()), Ok(String::new()));
    assert!(named("x".repeat(4096).as_str().into()).is_ok());
    let refused: [Value; 7] = [
        "x".repeat(4097).as_str().into(),
        base64(b"\xff"),
        base64(b"a\x01"),
        base64("\u{fffe}".as_bytes()),
        1.into(),
        true.into(),
        array(&["a".into()]),
    ];
    for name in refused {
        assert_eq!(named(name.clone()).unwrap_err().code, fault::WRONG_PARAMETERS, "{name:?}");
    }
}

#[test]
fn a_version_is_an_int_of_any_size_or_a_whole_double() {
    let asked =
        |version: Value| update("a".into(), version, array(&[])).map(|update| update.version);
    for version in [0, -1, 1, i64::from(i32::MAX), i64::MAX, i64::MIN] {
        assert_eq!(asked(version.into()), Ok(version));
    }
    for (version, whole) in [(1.0, 1), (-0.0, 0), (-3.0, -3), (1e15, 1_000_000_000_000_000)] {
        assert_eq!(asked(double(version)), Ok(whole));
    }
    for version in
        ["1".into(), true.into(), date_time(), double(1.5), double(1e300), array(&[1.into()])]
    {
        assert_eq!(asked(version).unwrap_err().code, fault::WRONG_PARAMETERS);
    }
}

#[test]
fn a_hash_list_is_stored_as_it_was_sent() {
    let nested = array(&[structure(&[("k", array(&[1.into()]))]), array(&[])]);
    let sent =
        [1.into(), "1".into(), true.into(), base64(b"\0\xff"), double(-0.5), date_time(), nested];
    assert_eq!(stored(array(&sent)), Ok(array(&sent)));
    assert_eq!(stored(array(&[])), Ok(array(&[])));
}

#[test]
fn a_scalar_in_a_lists_place_is_stored_as_it_was_sent() {
    for scalar in
        ["0".into(), 0.into(), "".into(), base64(b"\0"), true.into(), double(0.0), date_time()]
    {
        assert_eq!(stored(scalar.clone()), Ok(scalar.clone()));
        assert_eq!(stored(array(std::slice::from_ref(&scalar))), Ok(array(&[scalar])), "a list");
    }
    let wide = stored((1_i64 << 31).into());
    assert_eq!(wide.unwrap_err().code, fault::WRONG_PARAMETERS, "no answer can carry it");
}

#[test]
fn a_struct_in_a_lists_place_becomes_a_list() {
    let lua: Vec<_> = (1..=11).rev().map(|n| (n.to_string(), Value::from(n))).collect();
    let lua: Vec<_> = lua.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    assert_eq!(
        stored(structure(&lua)),
        Ok(Value::Array((1..=11).map(Value::from).collect())),
        "numbered from 1, in any order"
    );
    for other in [
        structure(&[]),
        structure(&[("0", 1.into())]),
        structure(&[("1", 1.into()), ("3", 1.into())]),
        structure(&[("+1", 1.into())]),
        structure(&[("01", 1.into())]),
    ] {
        assert_eq!(stored(other.clone()), Ok(array(&[other])), "any other struct is an element");
    }
}

#[test]
fn a_hash_that_no_answer_can_carry_is_refused() {
    let mut deep: Value = 1.into();
    for depth in 0..16 {
        assert!(stored(array(std::slice::from_ref(&deep))).is_ok(), "{depth} levels");
        deep = array(&[deep]);
    }
    assert!(stored(array(&[deep.clone()])).is_ok());
    for bad in [array(&[deep]), Value::Int(1 << 31), structure(&[("x", Value::Int(i64::MIN))])] {
        assert_eq!(
            stored(array(std::slice::from_ref(&bad))).unwrap_err().code,
            fault::WRONG_PARAMETERS,
            "{bad:?}"
        );
    }
}

#[test]
fn an_update_is_bounded_by_what_it_takes_when_it_is_written() {
    let with =
        |character: &str, count: usize| stored(array(&[character.repeat(count).as_str().into()]));
    assert!(with("x", (4 << 20) - 1000).is_ok());
    assert_eq!(with("x", 4 << 20).unwrap_err().code, fault::WRONG_PARAMETERS);
    assert_eq!(
        with("&", 1 << 20).unwrap_err().code,
        fault::WRONG_PARAMETERS,
        "each is written with five"
    );
    assert!(with("&", (4 << 20) / 5 - 1000).is_ok());
    let doubles = |number| stored(array(&vec![double(number); 15_000]));
    assert!(doubles(0.5).is_ok());
    assert_eq!(
        doubles(-f64::MIN_POSITIVE).unwrap_err().code,
        fault::WRONG_PARAMETERS,
        "each is written with more than 300 digits"
    );
}

#[test]
fn hashes_of_blocks_are_strings_or_base64() {
    let hash = |value| match read("getblock", &[value]) {
        Ok(TypedCall::GetBlock(hash)) => Ok(hash),
        Ok(other) => panic!("{other:?}"),
        Err(fault) => Err(fault.code),
    };
    let (bytes, digits) = ([0xab; 32], "aB".repeat(32));
    let same = BlockHash::new(bytes);
    for name in [digits.as_str().into(), base64(digits.as_bytes()), base64(&bytes)] {
        assert_eq!(hash(name.clone()), Ok(Some(same)), "{name:?}");
        let asked = array(&["x".into(), name.clone()]);
        let named = [(name, same)].into_iter().collect();
        assert_eq!(read("hasblocks", &[asked]), Ok(TypedCall::HasBlocks(named)), "as it was asked");
    }
    for name in ["hash1".into(), "".into(), 12.into(), base64(&[0xab; 31])] {
        assert_eq!(hash(name), Ok(None), "it names no block");
    }
    for name in [true.into(), double(1.0), date_time(), array(&[])] {
        assert_eq!(hash(name), Err(fault::WRONG_PARAMETERS));
    }
    let named = [("ab".into(), BlockHash::named("ab").unwrap())].into_iter().collect();
    let lone = TypedCall::HasBlocks(named);
    assert_eq!(read("hasblocks", &["ab".into()]), Ok(lone));
    assert_eq!(
        read("putblock", &["ab".into()]),
        Ok(TypedCall::PutBlock(Block::new(b"ab"[..].to_owned())))
    );
    assert_eq!(read("putblock", &[1.into()]).unwrap_err().code, fault::WRONG_PARAMETERS);
}

#[test]
fn a_document_that_is_no_call_is_refused_with_the_parsers_code() {
    for (document, code) in [("", -32700), ("<methodCall>", -32700), ("<x/>", -32600)] {
        assert_eq!(protocol::read_call(document.as_bytes()).unwrap_err().code, code, "{document}");
    }
}

fn config() -> Config {
    Config::parse("M: 2\nmetadata0: localhost:9001\nmetadata1: [::1]:9002\n")
        .expect("the configuration is good")
}

/// What a caller reads from an answer.
fn answered(answer: &Answer) -> Result<Value, Fault> {
    xmlrpc::parse_response(&protocol::write_answer(answer, &config()))
        .expect("an answer can be read")
}

#[test]
fn faults_begin_as_callers_expect_and_name_the_leader_where_it_is_known() {
    let peer = Some(ServerId(1));
    for (reason, code, message) in [
        (raft::CallError::Crashed, 1, "isCrashed"),
        (raft::CallError::NotLeader(None), 2, "not the leader"),
        (raft::CallError::NotLeader(peer), 2, "not the leader: [::1]:9002"),
        (raft::CallError::OutcomeUnknown, 3, "outcome unknown"),
        (raft::CallError::OutcomeLost, 3, "outcome unknown: this server is crashed"),
        (raft::CallError::Busy, 4, "busy"),
        (raft::CallError::Forged("it has a flaw"), -32602, "wrong parameters: it has a flaw"),
    ] {
        let fault = answered(&Answer::Raft(Reply::Failed(reason))).unwrap_err();
        assert_eq!(fault.code, code);
        assert!(
            fault.message.starts_with(message),
            "{} should begin with {message}",
            fault.message
        );
    }
}

#[test]
fn the_map_is_answered_as_name_to_version_and_hash_list() {
    let mut files = Files::default();
    for (name, version, hash) in [("b", 1, "h"), ("a", 1, "x"), ("a", 2, "0")] {
        let update = Update { name: name.into(), version, hashes: [hash.into()].into() };
        assert!(files.apply(&update.into()));
    }
    let entry = |version: i64, hash: &str| array(&[version.into(), array(&[hash.into()])]);
    let expected = structure(&[("a", entry(2, "0")), ("b", entry(1, "h"))]);
    assert_eq!(answered(&Answer::Raft(Reply::Files(files))), Ok(expected));
}

#[test]
fn the_document_of_the_map_is_that_of_its_leaves_with_a_beginning_and_an_end() {
    for count in [0, 1, 1000] {
        let mut files = Files::default();
        for file in 0..count {
            let name = format!("<{file}>").into();
            assert!(files.apply(&Update { name, version: 1, hashes: [1.into()].into() }.into()));
        }
        let leaf = |leaf: &Arc<Leaf>| protocol::LeafWriter::new(Arc::clone(leaf)).write(1 << 20).0;
        let leaves: Vec<_> = files.leaves().map(leaf).collect();
        let [before, behind] = protocol::write_around_leaves();
        let document = protocol::write_answer(&Answer::Raft(Reply::Files(files)), &config());
        assert_eq!([before, leaves.concat(), behind].concat(), document, "{count} files");
    }
}

#[test]
fn a_leaf_is_the_same_in_whatever_parts_it_is_written() {
    let mut files = Files::default();
    let long = "h".repeat(1000);
    for (name, hashes) in [
        ("a", HashList::from([])),
        ("b", [long.as_str().into(), 1.into(), structure(&[("m", long.as_str().into())])].into()),
        ("c", HashList::new(&"0".into()).unwrap()),
    ] {
        let name = name.into();
        assert!(files.apply(&Update { name, version: 1, hashes }.into()));
    }
    let leaf = files.leaf(0).unwrap();
    let whole = protocol::LeafWriter::new(Arc::clone(leaf)).write(usize::MAX).0;
    for bytes in [1, 10, 1000] {
        let mut writer = protocol::LeafWriter::new(Arc::clone(leaf));
        let mut parts = Vec::new();
        let mut is_whole = false;
        while !is_whole {
            let part;
            (part, is_whole) = writer.write(bytes);
            assert!(part.len() < bytes + 1100, "{} bytes", part.len());
            parts.extend(part);
        }
        assert!(parts == whole, "in parts of {bytes} bytes");
    }
}

/// The parts of an answer about blocks, of which those with these hashes are stored.
fn parts(mut answer: LongAnswer, stored: impl Fn(BlockHash) -> bool) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut is_whole = false;
    while !is_whole {
        let part;
        (part, is_whole) = answer.write(&stored);
        parts.push(part);
    }
    parts
}

#[test]
fn a_long_block_is_written_in_parts_and_a_short_one_at_once() {
    for bytes in [0, 1, 2, 1 << 20, 6 << 20] {
        let block: Vec<u8> = (0..bytes).map(|at: u32| at.to_le_bytes()[at as usize % 3]).collect();
        let answer = LongAnswer::block(block.as_slice().into());
        let is_short = answer.is_short();
        let parts = parts(answer, |_| true);
        assert_eq!(is_short, parts.len() == 1, "{bytes} bytes");
        assert_eq!(is_short, bytes < 1 << 18, "{bytes} bytes");
        assert!(parts.iter().all(|part| part.len() < 300 << 10));
        assert!(parts.concat() == write_response(|writer| writer.base64(&block)));
    }
}

#[test]
fn many_names_of_blocks_are_looked_up_in_parts_and_those_that_are_stored_are_the_answer() {
    for count in [0_usize, 1, 100, 20_000] {
        let name = |number| match number % 3 {
            0 => Value::from(format!("{number:064x}").as_str()),
            1 => format!("{number:x}").as_str().into(),
            _ => base64(format!("{number:X}").as_bytes()),
        };
        let hash = |number| BlockHash::named(&format!("{number:x}")).unwrap();
        let stored: BTreeSet<_> = (0..count).filter(|number| number % 5 < 2).map(hash).collect();
        let names = (0..count).map(|number| (name(number), hash(number)));
        let answer = LongAnswer::stored(names.collect());
        let is_short = answer.is_short();
        let looked_up = Cell::new(0);
        let is_stored = |hash| {
            looked_up.set(looked_up.get() + 1);
            stored.contains(&hash)
        };
        let parts = parts(answer, is_stored);
        assert_eq!(looked_up.get(), count);
        assert_eq!(is_short, parts.len() == 1, "{count} names");
        assert_eq!(is_short, count < 1000, "{count} names");
        assert!(parts.iter().all(|part| part.len() < 300 << 10));
        let expected: Value = (0..count).filter(|number| number % 5 < 2).map(name).collect();
        assert!(parts.concat() == write_response(|writer| writer.value(&expected)));
    }
}

#[test]
fn introspection_tells_what_the_table_has() {
    let names = METHODS.iter().map(|method| method.name.into()).collect();
    assert_eq!(answered(&Answer::Methods), Ok(Value::Array(names)));
    for method in &METHODS {
        let types = method.signature.iter().map(|name| (*name).into()).collect();
        assert_eq!(answered(&Answer::Signature(method)), Ok(array(&[Value::Array(types)])));
        assert_eq!(answered(&Answer::Help(method)), Ok(method.help.into()));
        let standard = ["int", "boolean", "double", "string", "base64", "array", "struct"];
        assert!(method.signature.iter().all(|name| standard.contains(name)), "{}", method.name);
    }
}

/// What the receiver of such a request parses.
fn received(request: &Request) -> Result<TypedCall, Fault> {
    call_of(&protocol::write_request(request))
}

/// What the sender of `request` parses if the receiver answers so.
fn replied(request: &Request, reply: Reply) -> Result<Response, NoResponse> {
    read_answer(request, &Answer::Raft(reply))
}

fn read_answer(request: &Request, answer: &Answer) -> Result<Response, NoResponse> {
    protocol::read_response(request, &protocol::write_answer(answer, &config()))
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..10u64, Just(i32::MAX as u64), Just(1 << 31), 0..=NUMBER_MAX]
}

fn position() -> impl Strategy<Value = Position> {
    (number(), number())
        .prop_map(|(term, index)| Position { term: Term(term), index: LogIndex(index) })
}

fn incarnation() -> impl Strategy<Value = Incarnation> {
    (1..=NUMBER_MAX).prop_map(Incarnation)
}

fn identity() -> impl Strategy<Value = Identity> {
    let history = prop::option::of(incarnation());
    let numbers = (any::<u8>(), any::<u8>(), number(), incarnation(), number());
    (numbers, history, any::<bool>(), position()).prop_map(
        |((id, size, names, incarnation, term), history, founded, last_log)| Identity {
            id: ServerId(id),
            size,
            names,
            incarnation,
            term: Term(term),
            history,
            founded,
            last_log,
        },
    )
}

/// As many servers as a set can have, each alive or ended.
fn account() -> impl Strategy<Value = Account> {
    prop::collection::vec(prop::option::of(incarnation()), 1..=10)
        .prop_map(|living| Account((0..).map(ServerId).zip(living).collect()))
}

fn roster() -> impl Strategy<Value = Roster> {
    (incarnation(), prop::collection::btree_map(any::<u8>(), incarnation(), 0..10)).prop_map(
        |(history, members)| {
            let members = members.into_iter().map(|(id, life)| (ServerId(id), life)).collect();
            Roster { history, members }
        },
    )
}

/// Files with names in order.
fn leaf() -> impl Strategy<Value = Arc<Leaf>> {
    let file = (1..=VERSION_MAX, prop::collection::vec(scalar(), 0..4));
    prop::collection::btree_map("[a-zß&<>\r]{0,8}", file, 1..5).prop_map(|files| {
        let newest = files.into_iter().map(|(name, (version, hashes))| {
            let hashes = hashes.into_iter().collect();
            Arc::new(Update { name: name.as_str().into(), version, hashes })
        });
        Arc::new(Leaf::new(newest.collect()).expect("a leaf that a map can have"))
    })
}

fn ballot_kind() -> impl Strategy<Value = BallotKind> {
    prop_oneof![Just(BallotKind::PreVote), Just(BallotKind::Vote)]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i32>().prop_map(|number| Value::Int(number.into())),
        any::<bool>().prop_map(Value::Boolean),
        "[ -~äß漢\t\n\r]{0,20}".prop_map(|text| Value::from(text.as_str())),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| base64(&bytes)),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let update = ("[a-zß&<>\r]{0,8}", any::<i64>(), prop::collection::vec(scalar(), 0..4))
        .prop_map(|(name, version, hashes)| {
            let update = Update {
                name: name.as_str().into(),
                version,
                hashes: hashes.into_iter().collect(),
            };
            Command::Update(update.into())
        });
    let roster = roster().prop_map(|roster| Command::Roster(roster.into()));
    (number(), prop_oneof![1 => roster, 4 => update])
        .prop_map(|(term, command)| Entry { term: Term(term), command })
}

proptest! {
    #[test]
    fn a_candidates_request_arrives_as_it_was_sent(
        sender in identity(), kind in ballot_kind(), ballot in number(), account in prop::option::of(account()),
    ) {
        let request = RequestVote { sender, kind, ballot, account };
        let call = TypedCall::Raft(raft::Call::RequestVote(request.clone()));
        prop_assert_eq!(received(&Request::RequestVote(request)), Ok(call));
    }

    #[test]
    fn a_leaders_request_arrives_as_it_was_sent(
        sender in identity(), receiver in prop::option::of(incarnation()), prev_log in position(),
        entries in prop::collection::vec(entry(), 0..5), commit in number(), round in number(),
        has_majority in any::<bool>(),
    ) {
        let request = AppendEntries {
            sender, receiver, prev_log, entries, leader_commit: LogIndex(commit), round: Round(round), has_majority,
        };
        let call = TypedCall::Raft(raft::Call::AppendEntries(request.clone()));
        prop_assert_eq!(received(&Request::AppendEntries(request)), Ok(call));
    }

    #[test]
    fn a_piece_of_a_snapshot_arrives_as_it_was_sent(
        sender in identity(), receiver in prop::option::of(incarnation()), last_included in position(),
        roster in roster(), offset in number(), leaves in prop::collection::vec(leaf(), 0..4), done in any::<bool>(),
        round in number(), has_majority in any::<bool>(),
    ) {
        let (roster, round) = (roster.into(), Round(round));
        let request = InstallSnapshot {
            sender, receiver, last_included, roster, offset, leaves, done, round, has_majority,
        };
        let call = TypedCall::Raft(raft::Call::InstallSnapshot(request.clone()));
        prop_assert_eq!(received(&Request::InstallSnapshot(request)), Ok(call));
    }

    #[test]
    fn replies_arrive_as_they_were_sent(
        sender in identity(), kind in ballot_kind(), number in number(), vote_granted in any::<bool>(),
        leads in any::<bool>(), hint in position(),
    ) {
        let reply = VoteReply { sender, kind, ballot: number, vote_granted, leads };
        let request = a_vote_request(kind, number);
        prop_assert_eq!(replied(&request, Reply::Vote(reply)), Ok(Response::Vote(reply)));
        let Identity { term, .. } = sender;
        for (outcome, term) in [
            (AppendOutcome::Accepted, Term(1)),
            (AppendOutcome::Mismatch(hint), Term(1)),
            (AppendOutcome::Stale, term.max(Term(2))),
            (AppendOutcome::Refused, term),
        ] {
            let reply = AppendReply { sender: Identity { term, ..sender }, round: Round(number), outcome };
            prop_assert_eq!(replied(&an_append(number), Reply::Append(reply)), Ok(Response::Append(reply)));
            let is_mismatch = matches!(outcome, AppendOutcome::Mismatch(_));
            let told = replied(&a_piece(number), Reply::Append(reply));
            prop_assert_eq!(told.ok(), (!is_mismatch).then_some(Response::Append(reply)));
        }
        let outcome = AppendOutcome::Incomplete(number);
        let sender = Identity { term: Term(1), ..sender };
        let reply = AppendReply { sender, round: Round(number), outcome };
        prop_assert_eq!(replied(&a_piece(number), Reply::Append(reply)), Ok(Response::Append(reply)));
        prop_assert!(replied(&an_append(number), Reply::Append(reply)).is_err());
    }

    #[test]
    fn a_crashed_peer_says_which_process_it_is(sender in identity(), kind in ballot_kind()) {
        let answer = Answer::Crashed(Some(sender));
        for request in [a_vote_request(kind, 1), an_append(1), a_piece(1)] {
            let failure = read_answer(&request, &answer).map_err(|told| told.failure);
            prop_assert_eq!(failure, Err(Failure::Crashed(sender)));
        }
        let fault = answered(&answer).expect_err("a fault");
        prop_assert_eq!(fault.code, fault::CRASHED);
        prop_assert!(fault.message.starts_with("isCrashed"), "{}", fault.message);
    }
}

/// The identity of server 0 of a set of two in that term, with an empty log.
fn sender(term: u64) -> Identity {
    Identity {
        id: ServerId(0),
        size: 2,
        names: 0,
        incarnation: Incarnation(100),
        term: Term(term),
        history: None,
        founded: false,
        last_log: Position::default(),
    }
}

fn a_vote_request(kind: BallotKind, ballot: u64) -> Request {
    Request::RequestVote(RequestVote { sender: sender(1), kind, ballot, account: None })
}

fn an_append(round: u64) -> Request {
    Request::AppendEntries(AppendEntries {
        sender: sender(1),
        receiver: None,
        prev_log: Position::default(),
        entries: vec![],
        leader_commit: LogIndex(0),
        round: Round(round),
        has_majority: true,
    })
}

fn a_piece(round: u64) -> Request {
    Request::InstallSnapshot(InstallSnapshot {
        sender: sender(1),
        receiver: None,
        last_included: Position { term: Term(1), index: LogIndex(1) },
        roster: Arc::new(Roster { history: Incarnation(100), members: BTreeMap::new() }),
        offset: 0,
        leaves: vec![],
        done: true,
        round: Round(round),
        has_majority: true,
    })
}

fn a_vote() -> Reply {
    let kind = BallotKind::Vote;
    Reply::Vote(VoteReply { sender: sender(1), kind, ballot: 1, vote_granted: true, leads: false })
}

#[test]
fn a_fault_or_a_strange_answer_is_no_reply_of_a_peer() {
    let silent = |answer: &Answer| {
        let told = read_answer(&an_append(1), answer).expect_err("no reply");
        assert_eq!(told.failure, Failure::Silent, "{told}");
        told.to_string()
    };
    assert!(silent(&Answer::Raft(Reply::Failed(raft::CallError::Crashed))).contains("fault 1"));
    silent(&Answer::Raft(Reply::Done));
    silent(&Answer::Raft(a_vote()));
    let told = protocol::read_response(&an_append(1), b"garbage").expect_err("no reply");
    assert_eq!(told.failure, Failure::Silent);
}

/// Nothing follows from a crashed server if it does not say which process it is.
#[test]
fn a_crashed_peer_that_does_not_say_which_process_it_is_is_merely_silent() {
    let read = |code, message: &str| {
        let fault = write_fault(&Fault { code, message: message.to_owned() });
        protocol::read_response(&an_append(1), &fault).expect_err("no reply").failure
    };
    let whole = "isCrashed [0 2 0 100 1 0 0 0 0]";
    assert_eq!(read(fault::CRASHED, whole), Failure::Crashed(sender(1)), "the intact counterpart");
    assert_eq!(read(fault::BUSY, whole), Failure::Silent, "another fault");
    for garbled in [
        "isCrashed",
        "isCrashed []",
        "isCrashed [0 2 0 100 1 0 0 0]",
        "isCrashed [0 2 0 100 1 0 0 0 0 0]",
        "isCrashed [0 2 0 100 1 0 0 0 -1]",
        "isCrashed [0 2 0 100 1 0 0 0 x]",
        "isCrashed [0  2 0 100 1 0 0 0 0]",
        "isCrashed [256 2 0 100 1 0 0 0 0]",
        "isCrashed [0 256 0 100 1 0 0 0 0]",
        "isCrashed [0 2 0 9007199254740993 1 0 0 0 0]",
        "isCrashed [0 2 0 100 1 0 0 0 18446744073709551616]",
        "isCrashed [0 2 0 100 1 0 0 0 0] ",
        "isCrashed [0 2 0 100 1 0 0 0 0",
        "isCrashed 0 2 0 100 1 0 0 0 0]",
    ] {
        assert_eq!(read(fault::CRASHED, garbled), Failure::Silent, "{garbled}");
    }
}

/// Callers do not need it.
#[test]
fn only_a_peer_is_told_which_process_is_crashed() {
    let fault = answered(&Answer::Crashed(None)).expect_err("a fault");
    assert_eq!(fault.code, fault::CRASHED);
    assert!(!fault.message.contains('['), "{}", fault.message);
    let told = read_answer(&an_append(1), &Answer::Crashed(None)).expect_err("no reply");
    assert_eq!(told.failure, Failure::Silent);
}

#[test]
fn an_answer_that_echoes_another_request_is_no_reply_to_this_one() {
    let outcome = AppendOutcome::Accepted;
    let append = Reply::Append(AppendReply { sender: sender(1), round: Round(1), outcome });
    assert!(replied(&an_append(1), append.clone()).is_ok());
    assert!(replied(&an_append(2), append).is_err());
    assert!(replied(&a_vote_request(BallotKind::Vote, 1), a_vote()).is_ok());
    assert!(replied(&a_vote_request(BallotKind::Vote, 2), a_vote()).is_err());
    assert!(replied(&a_vote_request(BallotKind::PreVote, 1), a_vote()).is_err());
}

/// A server adopts a leader's term before it answers. If it refuses the leader, it need not.
#[test]
fn a_reply_whose_term_contradicts_its_outcome_is_none_of_a_peers() {
    let mismatch = AppendOutcome::Mismatch(Position::default());
    for (outcome, possible) in [
        (AppendOutcome::Accepted, [false, true, false]),
        (mismatch, [false, true, false]),
        (AppendOutcome::Stale, [false, false, true]),
        (AppendOutcome::Refused, [true, true, true]),
    ] {
        for (term, possible) in (0..).zip(possible) {
            let reply = AppendReply { sender: sender(term), round: Round(1), outcome };
            let read = replied(&an_append(1), Reply::Append(reply));
            assert_eq!(read.is_ok(), possible, "{outcome:?} in term {term} of an append in term 1");
        }
    }
}

fn numbers(numbers: &[i64]) -> Value {
    array(&numbers.iter().map(|number| (*number).into()).collect::<Vec<_>>())
}

/// The nine numbers of `sender`.
fn sender_numbers() -> Value {
    numbers(&[0, 2, 0, 100, 1, 0, 0, 0, 0])
}

/// Values in the place of a sender that are not a sender.
fn no_senders() -> Vec<Value> {
    vec![
        1.into(),
        "0".into(),
        numbers(&[]),
        numbers(&[0, 2, 0, 100, 1, 0, 0, 0]),
        numbers(&[0, 2, 0, 100, 1, 0, 0, 0, 0, 0]),
        numbers(&[0, 2, 0, 100, 1, 0, 0, 0, -1]),
        numbers(&[0, 2, 0, NUMBER_MAX as i64 + 1, 1, 0, 0, 0, 0]),
        numbers(&[256, 2, 0, 100, 1, 0, 0, 0, 0]),
        numbers(&[0, 256, 0, 100, 1, 0, 0, 0, 0]),
        numbers(&[0; 17]),
        array(&vec!["0".into(); 9]),
    ]
}

/// A message with these parts, which have names only here.
fn message(parts: &[(&str, Value)]) -> Value {
    packed(&plain(parts))
}

fn plain(parts: &[(&str, Value)]) -> Value {
    array(&parts.iter().map(|(_, part)| part.clone()).collect::<Vec<_>>())
}

fn packed(value: &Value) -> Value {
    base64(&value.pack())
}

/// The same parts with one of them replaced, or left out.
fn with_another<'a>(
    mut parts: Vec<(&'a str, Value)>,
    name: &str,
    value: Option<Value>,
) -> Vec<(&'a str, Value)> {
    let index = parts.iter().position(|(part, _)| *part == name).expect("a part");
    match value {
        Some(value) => parts[index].1 = value,
        None => drop(parts.remove(index)),
    }
    parts
}

/// The parts of a well-formed request for a vote; a test may corrupt one of them.
fn vote_parts() -> Vec<(&'static str, Value)> {
    vec![
        ("sender", sender_numbers()),
        ("ballot", 1.into()),
        ("preVote", false.into()),
        ("account", numbers(&[100, 0])),
    ]
}

#[test]
fn a_garbled_request_for_a_vote_is_refused() {
    let is_read = |name: &str, value: Option<Value>| {
        let message = message(&with_another(vote_parts(), name, value));
        read("requestVote", &[message]).is_ok()
    };
    assert!(is_read("ballot", Some(2.into())), "the intact counterpart");
    assert!(is_read("account", None), "most requests have none");
    for name in ["sender", "ballot", "preVote"] {
        assert!(!is_read(name, None), "without {name}");
        assert!(!is_read(name, Some("x".into())), "{name}");
        assert!(!is_read(name, Some((-1).into())), "{name}");
    }
    for value in no_senders() {
        assert!(!is_read("sender", Some(value.clone())), "{value:?}");
    }
    for value in
        [1.into(), "x".into(), numbers(&[100, -1]), numbers(&[1; 17]), array(&["100".into()])]
    {
        assert!(!is_read("account", Some(value.clone())), "{value:?}");
    }
}

#[test]
fn a_garbled_reply_is_none_of_a_peers() {
    let is_read = |request: &Request, parts: Vec<(&str, Value)>| {
        let document = write_response(|writer| writer.value(&message(&parts)));
        protocol::read_response(request, &document).is_ok()
    };
    let vote = vec![
        ("sender", sender_numbers()),
        ("ballot", 1.into()),
        ("preVote", false.into()),
        ("voteGranted", true.into()),
        ("leads", false.into()),
    ];
    let of_an_append = |more: &[(&'static str, Value)]| {
        let [sender, round, success] =
            [("sender", sender_numbers()), ("round", 1.into()), ("success", false.into())];
        [&[sender, round, success], more].concat()
    };
    let mismatch = of_an_append(&[("hintIndex", 0.into()), ("hintTerm", 0.into())]);
    let refusal = of_an_append(&[("stale", false.into())]);
    let incomplete = of_an_append(&[("leaves", 3.into())]);
    for (request, parts) in [
        (a_vote_request(BallotKind::Vote, 1), vote),
        (an_append(1), mismatch),
        (an_append(1), refusal.clone()),
        (a_piece(1), refusal),
        (a_piece(1), incomplete),
    ] {
        assert!(is_read(&request, parts.clone()), "the intact counterpart");
        for (name, _) in parts.clone() {
            for value in [None, Some("x".into()), Some((-1).into())] {
                let garbled = with_another(parts.clone(), name, value);
                assert!(!is_read(&request, garbled.clone()), "{garbled:?}");
            }
        }
        for value in no_senders() {
            let garbled = with_another(parts.clone(), "sender", Some(value));
            assert!(!is_read(&request, garbled.clone()), "{garbled:?}");
        }
    }
}

/// The parts of a well-formed append; a test may corrupt one of them.
fn append_parts() -> Vec<(&'static str, Value)> {
    vec![
        ("sender", sender_numbers()),
        ("receiver", 100.into()),
        ("prevLogIndex", 0.into()),
        ("prevLogTerm", 0.into()),
        ("entries", array(&[array(&[1.into(), 101.into(), numbers(&[0, 100, 1, 101])])])),
        ("leaderCommit", 0.into()),
        ("round", 1.into()),
        ("hasMajority", true.into()),
    ]
}

#[test]
fn an_append_of_an_update_that_no_client_can_have_made_is_refused() {
    let append = |name: &str, hashes: Value| {
        let entries = array(&[array(&[1.into(), array(&[name.into(), 1.into(), hashes])])]);
        let message = message(&with_another(append_parts(), "entries", Some(entries)));
        read("appendEntries", &[message]).map(drop).map_err(|fault| fault.code)
    };
    let name = "n".repeat(NAME_BYTES_MAX);
    let most = UPDATE_BYTES_MAX - 2 * 9;
    let long = |length: usize| Value::from("h".repeat(length).as_str());
    let nested = |depth| (0..=depth).fold(1.into(), |value, _| array(&[value]));
    for (hashes, read) in [
        (array(&[long(most)]), Ok(())),
        (array(&[long(most + 1)]), Err(fault::WRONG_PARAMETERS)),
        (array(&[i64::from(i32::MAX).into()]), Ok(())),
        (array(&[(i64::from(i32::MAX) + 1).into()]), Err(fault::WRONG_PARAMETERS)),
        (nested(16), Ok(())),
        (nested(17), Err(fault::WRONG_PARAMETERS)),
    ] {
        assert_eq!(append(&name, packed(&hashes)), read);
    }
    let none = packed(&array(&[]));
    assert_eq!(append(&(name + "n"), none), Err(fault::WRONG_PARAMETERS));
}

#[test]
fn a_garbled_append_is_refused() {
    assert!(read("appendEntries", &[message(&append_parts())]).is_ok(), "the intact counterpart");
    let garbled = |name: &str, value: Option<Value>| {
        let parts = with_another(append_parts(), name, value);
        let fault = read("appendEntries", &[message(&parts)]).unwrap_err();
        assert_eq!(fault.code, fault::WRONG_PARAMETERS, "{parts:?}");
    };
    for (name, _) in append_parts() {
        garbled(name, None);
        garbled(name, Some("x".into()));
        garbled(name, Some((-1).into()));
    }
    garbled("receiver", Some(Value::Int(NUMBER_MAX as i64 + 1)));
    for value in no_senders() {
        garbled("sender", Some(value));
    }
    let hashes = packed(&array(&[]));
    let update = |parts: &[Value]| array(&[1.into(), array(parts)]);
    let roster = |members: Value| array(&[1.into(), 101.into(), members]);
    let whole = update(&["a".into(), 1.into(), hashes.clone()]);
    let entries = Some(array(&[whole, roster(numbers(&[0, 100]))]));
    let whole = message(&with_another(append_parts(), "entries", entries));
    assert!(read("appendEntries", &[whole]).is_ok(), "the intact counterpart");
    for entry in [
        array(&[]),
        1.into(),
        array(&["1".into()]),
        array(&[1.into()]),
        array(&[1.into(), 2.into()]),
        update(&[]),
        update(&["a".into(), 1.into()]),
        update(&["a".into(), 1.into(), 1.into()]),
        update(&["a".into(), 1.into(), array(&[])]),
        update(&["a".into(), 1.into(), packed(&structure(&[]))]),
        update(&[1.into(), 1.into(), hashes.clone()]),
        update(&["a".into(), "1".into(), hashes.clone()]),
        update(&["a".into(), 1.into(), hashes.clone(), 1.into()]),
        array(&[1.into(), array(&["a".into(), 1.into(), hashes]), 1.into()]),
        roster(101.into()),
        roster(numbers(&[0])),
        roster(numbers(&[0, 100, 1])),
        roster(numbers(&[0, 100, 0, 100])),
        roster(numbers(&[0, 100, 0, 101])),
        roster(numbers(&[256, 100])),
        roster(numbers(&[-1, 100])),
        roster(numbers(&[0, -1])),
        roster(numbers(&[0, NUMBER_MAX as i64 + 1])),
        roster(array(&["0".into(), 100.into()])),
        array(&["1".into(), 101.into(), numbers(&[0, 100])]),
        array(&[1.into(), "101".into(), numbers(&[0, 100])]),
        array(&[1.into(), (-1).into(), numbers(&[0, 100])]),
        array(&[1.into(), 101.into(), numbers(&[0, 100]), 1.into()]),
    ] {
        garbled("entries", Some(array(&[entry])));
    }
}

/// The parts of a well-formed piece of a snapshot; a test may corrupt one of them.
fn piece_parts() -> Vec<(&'static str, Value)> {
    let file = |name: &str| array(&[name.into(), 1.into(), packed(&array(&[]))]);
    vec![
        ("sender", sender_numbers()),
        ("receiver", 100.into()),
        ("lastIncludedIndex", 1.into()),
        ("lastIncludedTerm", 1.into()),
        ("roster", array(&[101.into(), numbers(&[0, 100, 1, 101])])),
        ("offset", 0.into()),
        ("leaves", array(&[array(&[file("a"), file("b")]), array(&[file("c")])])),
        ("done", true.into()),
        ("round", 1.into()),
        ("hasMajority", true.into()),
    ]
}

#[test]
fn a_garbled_piece_of_a_snapshot_is_refused() {
    assert!(read("installSnapshot", &[message(&piece_parts())]).is_ok(), "the intact counterpart");
    let garbled = |name: &str, value: Option<Value>| {
        let parts = with_another(piece_parts(), name, value);
        let fault = read("installSnapshot", &[message(&parts)]).unwrap_err();
        assert_eq!(fault.code, fault::WRONG_PARAMETERS, "{parts:?}");
    };
    for (name, _) in piece_parts() {
        garbled(name, None);
        garbled(name, Some("x".into()));
        garbled(name, Some((-1).into()));
    }
    for roster in [array(&[]), array(&[101.into()]), array(&[101.into(), numbers(&[0])])] {
        garbled("roster", Some(roster));
    }
    let hashes = || packed(&array(&[]));
    let file = |name: &str, version: i64| array(&[name.into(), version.into(), hashes()]);
    for leaf in [
        array(&[]),
        array(&[1.into()]),
        array(&[array(&["a".into(), 1.into()])]),
        array(&[file("b", 1), file("a", 1)]),
        array(&[file("a", 1), file("a", 2)]),
        array(&[file("a", 0)]),
        array(&[file("a", VERSION_MAX + 1)]),
        array(&(10..80).map(|number| file(&number.to_string(), 1)).collect::<Vec<_>>()),
    ] {
        garbled("leaves", Some(array(&[leaf])));
    }
}

#[test]
fn a_packed_message_is_one_whole_list_and_nothing_more() {
    let is_read = |packed: &[u8]| read("appendEntries", &[base64(packed)]).is_ok();
    assert!(read("appendEntries", &[plain(&append_parts())]).is_err(), "it is not packed");
    let whole = plain(&append_parts()).pack();
    assert!(is_read(&whole));
    for length in 0..whole.len() {
        assert!(!is_read(&whole[..length]), "{length} bytes of it");
    }
    assert!(!is_read(&[&whole[..], &whole].concat()));
    let with_more = [append_parts(), vec![("more", true.into())]].concat();
    assert!(!is_read(&plain(&with_more).pack()));
    assert!(!is_read(&structure(&append_parts()).pack()), "a struct is not a list");
}

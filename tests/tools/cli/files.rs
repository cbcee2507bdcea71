//! Reading and updating the map.

use serde_json::{Value as Json, json};
use support::client::{TRUE, hash};
use support::harness::Cluster;
use support::wait::{PATIENCE, wait_until};

use super::program::{at, config, program, run};

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_was_updated_is_shown_and_a_version_conflict_is_refused_with_exit_code_3() {
    let (cluster, leader) = Cluster::led(3);
    let at = |arguments: &[&str]| at(&cluster, arguments);
    assert_eq!(at(&["ls"]).shown(), "VERSION  BLOCKS  NAME\n");
    assert_eq!(at(&["update", "a.txt", "1", "h1", "h2"]).shown(), "a.txt is at version 1\n");
    at(&["update", "a.txt", "1", "h3"])
        .assert_failed(3, "the stored version is 1, so the next is 2");
    at(&["update", "a.txt", "3"]).assert_failed(3, "the stored version is 1");
    at(&["update", "a.txt", "-1"]).assert_failed(3, "the stored version is 1");
    assert_eq!(at(&["get", "a.txt"]).shown(), "version 1\nh1\nh2\n");
    let file = json!({ "version": 1, "hashes": ["h1", "h2"] });
    assert_eq!(json(&at(&["get", "a.txt", "--json"]).shown()), file);
    at(&["get", "b.txt"]).assert_failed(1, "there is no file \"b.txt\"");

    assert_eq!(at(&["update", "b", "1", "0"]).code, Some(0));
    assert_eq!(at(&["get", "b"]).shown(), "version 1\ndeleted\n");
    let table = "VERSION  BLOCKS   NAME\n1        2        a.txt\n1        deleted  b\n";
    assert_eq!(at(&["ls"]).shown(), table);
    let map = json!({ "a.txt": file, "b": { "version": 1, "hashes": ["0"] } });
    assert_eq!(json(&at(&["ls", "--json"]).shown()), map);

    cluster.await_version(&[0, 1, 2], "a.txt", 1);
    let versions = at(&["version", "a.txt"]).shown();
    let versions: Vec<_> =
        versions.lines().map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!(versions, ["VERSION", "1", "1", "1"]);
    at(&["version", "absent"]).assert_failed(1, "there is no file \"absent\"");
    cluster.await_version(&[0, 1, 2], "b", 1);
    let table = "\
NAME   VERSION  0  1  2
a.txt  1        1  1  1
b      1        1  1  1
";
    assert_eq!(at(&["version"]).shown(), table);
    assert_eq!(json(&at(&["ls", "-o", "json"]).shown()), map);
    assert_eq!(json(&at(&["get", "a.txt", "-o", "json"]).shown()), file);
    let versions = json(&at(&["version", "-o", "json"]).shown());
    assert_eq!(versions[2]["versions"], json!({ "a.txt": 1, "b": 1 }));
    assert_eq!(versions[2]["address"], cluster.at(2).address());
    assert_eq!(json(&at(&["version", "b", "-o", "json"]).shown())[0]["version"], 1);
    let updated = json(&at(&["update", "b", "2", "h", "-o", "json"]).shown());
    assert_eq!(updated, json!({ "name": "b", "version": 2 }));
    let led = json(&at(&["leader", "-o", "json"]).shown());
    assert_eq!((&led["id"], &led["lacksMajority"]), (&json!(leader), &json!(false)));
    assert_eq!(led["address"], cluster.at(leader).address());
    assert_eq!(at(&["leader"]).shown().trim(), cluster.at(leader).address());
}

#[test]
fn a_scalar_in_a_lists_place_is_shown_as_one_hash_and_is_itself_in_json() {
    let (cluster, leader) = Cluster::led(1);
    let at = |arguments: &[&str]| at(&cluster, arguments);
    for (name, hashes) in
        [("a", "string:h"), ("b", "string:0"), ("c", "datetime:19980717T14:08:55")]
    {
        let name = format!("string:{name}");
        assert_eq!(at(&["call", "updatefile", &name, "int:1", hashes]).shown(), "true\n");
    }
    assert_eq!(cluster.at(leader).files().unwrap()["a"], (1, "h".into()));
    assert_eq!(at(&["get", "a"]).shown(), "version 1\nh\n");
    assert_eq!(at(&["get", "b"]).shown(), "version 1\ndeleted\n");
    let date = r#"{"dateTime.iso8601":"19980717T14:08:55"}"#;
    assert_eq!(at(&["get", "c"]).shown(), format!("version 1\n{date}\n"));
    let table =
        "VERSION  BLOCKS   NAME\n1        1        a\n1        deleted  b\n1        1        c\n";
    assert_eq!(at(&["ls"]).shown(), table);
    let file = |hashes: Json| json!({ "version": 1, "hashes": hashes });
    let map = json!({ "a": file("h".into()), "b": file("0".into()), "c": file(json(date)) });
    assert_eq!(json(&at(&["ls", "--json"]).shown()), map);
}

#[test]
fn a_name_cannot_steer_the_terminal_and_an_option_goes_before_the_environment() {
    let (cluster, _) = Cluster::led(1);
    assert_eq!(at(&cluster, &["update", "", "1", "h"]).shown(), "\"\" is at version 1\n");
    assert!(at(&cluster, &["ls"]).shown().ends_with("1        1       \"\"\n"));
    assert_eq!(cluster.at(0).update("a\tb\n\u{9b}c", 1, &hash("x\u{7f}y")), TRUE);
    assert!(at(&cluster, &["ls"]).shown().ends_with("a\\tb\\n\\u{9b}c\n"));
    assert_eq!(at(&cluster, &["get", "a\tb\n\u{9b}c"]).shown(), "version 1\nx\\u{7f}y\n");
    at(&cluster, &["update", "a\u{1}", "1"])
        .assert_failed(2, "a character that XML does not allow");
    let mut command = program();
    command.env("SURFSTORE_CONFIG", "absent").arg("-f").arg(config(&cluster)).arg("leader");
    assert_eq!(run(&mut command).shown().trim(), cluster.at(0).address());
}

#[test]
fn the_table_of_versions_shows_who_lags_and_says_how_many_files_it_leaves_out() {
    let (mut cluster, leader) = Cluster::led(3);
    let others = cluster.others(leader);
    let (crashed, dead) = (others[0], others[1]);
    for number in 0..102 {
        assert_eq!(cluster.at(leader).update(&format!("{number:03}"), 1, &hash("h")), TRUE);
    }
    cluster.await_version(&[0, 1, 2], "101", 1);
    cluster.crash(&[crashed]);
    assert_eq!(cluster.at(leader).update("000", 2, &hash("h")), TRUE);
    let ended = at(&cluster, &["version"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "surfstore: 2 files left out; name a file, or use -o json\n");
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 101, "{ended:?}");
    let cells: Vec<_> = lines[1].split_whitespace().collect();
    assert_eq!((cells[0], cells[1], cells[2 + crashed], cells[2 + leader]), ("000", "2", "1", "2"));

    cluster.restore(&[crashed]);
    cluster.await_version(&[crashed], "000", 2);
    cluster.kill(dead);
    let ended = at(&cluster, &["version", "-o", "json"]);
    ended.assert_failed(1, "cannot be reached");
    let versions = json(&ended.stdout);
    assert!(versions[dead]["error"].is_string(), "{versions}");
    assert_eq!(versions[crashed]["versions"].as_object().unwrap().len(), 102);
}

#[test]
fn an_exported_map_is_imported_with_or_without_its_versions() {
    let (old, _) = Cluster::led(1);
    let (new, _) = Cluster::led(1);
    for line in [
        "update a 1 h",
        "update a 2 h1 h2",
        "update b 1 0",
        "call updatefile string:c int:1 json:[1,0.5,true,\"h\"]",
        "call updatefile string:d int:1 datetime:19980717T14:08:55",
        "call updatefile string:e int:1 json:[{\"b\":[{\"a\":1}],\"a\":{}}]",
    ] {
        assert_eq!(at(&old, &line.split(' ').collect::<Vec<_>>()).code, Some(0), "{line}");
    }
    let exported = at(&old, &["export"]).shown();
    assert_eq!(exported, at(&old, &["ls", "-o", "json"]).shown());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("map.json");
    let path = file.to_str().unwrap();
    std::fs::write(&file, &exported).unwrap();

    let told = at(&old, &["import", path]).shown();
    assert_eq!(told, "0 files written, 5 there already\n");
    let told = at(&new, &["import", path]).shown();
    let (begin, rest) = ("a is at version 1, not 2\n", "is at version 1\n");
    let rest = format!("b {rest}c {rest}d {rest}e {rest}");
    assert_eq!(told, format!("{begin}{rest}5 files written, 0 there already\n"));
    let told = at(&new, &["import", "--versions", path]).shown();
    assert_eq!(told, "a is at version 2\none file written, 4 there already\n");
    assert_eq!(at(&new, &["export"]).shown(), exported);

    at(&new, &["update", "a", "3", "other"]).shown();
    let mut import = program();
    import.env("SURFSTORE_CONFIG", config(&new)).args(["import", "-", "-o", "json"]);
    let told = run(import.stdin(std::fs::File::open(&file).unwrap())).shown();
    assert_eq!(json(&told), json!({ "a": 4 }));
    let told = at(&new, &["import", "--versions", path]).shown();
    assert_eq!(told, "a is at version 4, not 2\n0 files written, 5 there already\n");
    let told = at(&new, &["import", "--versions", path, "-o", "json"]).shown();
    assert_eq!(json(&told), json!({ "a": 4 }), "a version that cannot be kept is told");

    for (text, reason) in [
        ("", "is not a map of files"),
        ("[]", "is not a map of files"),
        (r#"{"a\u001b": {"version": 0, "hashes": []}}"#, "has no version from 1 to"),
        (r#"{"a": {"version": 1, "hashes": {"x": 1}}}"#, "or no hashes"),
        (r#"{"a": {"version": 1}}"#, "or no hashes"),
    ] {
        std::fs::write(&file, text).unwrap();
        at(&new, &["import", path]).assert_refused(reason);
    }
    at(&new, &["import", "/absent"]).assert_refused("No such file");
    at(&new, &["import", "-"]).assert_refused("stdin is not a map of files: ");
    let text = r#"{"a": {"version": 1, "hashes": []}, "b\u0001": {"version": 1, "hashes": []}}"#;
    std::fs::write(&file, text).unwrap();
    at(&new, &["import", path]).assert_failed(
        2,
        r#"one file written; "b\u{1}": the call contains a character that XML does not allow"#,
    );
}

#[test]
fn any_method_can_be_called_with_typed_values() {
    let (cluster, leader) = Cluster::led(2);
    let call = |arguments: &[&str]| at(&cluster, &[&["call"], arguments].concat());
    assert_eq!(call(&["ping"]).shown(), "true\n");
    let list = r#"json:[1, "two", true, 0.5]"#;
    assert_eq!(call(&["updatefile", "string:a", "int:1", list]).shown(), "true\n");
    let map = json(&call(&["surfstore.getfileinfomap"]).shown());
    assert_eq!(map, json!({ "a": [1, [1, "two", true, 0.5]] }));
    assert_eq!(call(&["putblock", "base64:aGk="]).shown(), "true\n");
    let sha = "string:8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4";
    assert_eq!(json(&call(&["getblock", sha]).shown()), json!({ "base64": "aGk=" }));

    let other = cluster.others(leader)[0].to_string();
    let told = format!("fault 2: not the leader; the leader is {}", cluster.at(leader).address());
    let refused = || call(&["getfileinfomap", "--at", &other]);
    wait_until(PATIENCE, "the follower knows its leader", || refused().stderr.contains(&told));
    refused().assert_failed(3, &told);
    call(&["frob"]).assert_failed(3, "fault -32601");
    call(&["ping", "--at", "2"]).assert_failed(2, "the configuration has 0 to 1");
}

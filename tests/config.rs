//! Which configuration files and arguments are accepted, and the messages for the others.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use surfstore::config::{Config, ServerArguments};

/// The addresses of the servers, as strings.
fn addresses(config: &Config) -> Vec<String> {
    config.servers.iter().map(ToString::to_string).collect()
}

/// The one-line error for the text.
fn refusal(text: &str) -> String {
    let line = format!("{:#}", Config::parse(text).expect_err(text));
    assert!(line.chars().all(|c| !c.is_control()), "not one line: {line:?}");
    line
}

/// The one-line error for the arguments.
fn arguments_refusal(arguments: &[&str]) -> String {
    let result = ServerArguments::parse(arguments.iter().map(OsString::from));
    let line = format!("{:#}", result.expect_err("refused"));
    assert!(line.chars().all(|c| !c.is_control()), "not one line: {line:?}");
    line
}

#[test]
fn a_file_may_be_written_in_many_ways() {
    let accepted = [
        ("as shown", "M: 2\nmetadata0: localhost:9001\nmetadata1: localhost:9002\n"),
        ("no newline at the end", "M: 2\nmetadata0: localhost:9001\nmetadata1: localhost:9002"),
        ("CRLF", "M: 2\r\nmetadata0: localhost:9001\r\nmetadata1: localhost:9002\r\n"),
        ("blanks", "  M:  2 \t\n metadata0 :localhost:9001  \nmetadata1:\tlocalhost:9002 \n"),
        ("blank lines", "\n\nM: 2\n  \nmetadata0: localhost:9001\n\nmetadata1: localhost:9002\n\n"),
        ("any order", "metadata1: localhost:9002\nM: 2\nmetadata0: localhost:9001\n"),
        ("no blank after the colon", "M:2\nmetadata0:localhost:9001\nmetadata1:localhost:9002\n"),
        (
            "comments",
            "# a: b\nM: 2 # two\nmetadata0: localhost:9001#\nmetadata1: localhost:9002\n#",
        ),
        ("byte order mark", "\u{feff}M: 2\nmetadata0: localhost:9001\nmetadata1: localhost:9002\n"),
    ];
    for (what, text) in accepted {
        let config = Config::parse(text).expect(what);
        assert_eq!(addresses(&config), ["localhost:9001", "localhost:9002"], "{what}");
        assert_eq!(config.warnings, [""; 0], "{what}");
    }
}

#[test]
fn a_host_is_a_name_or_an_address() {
    let hosts = [
        ("node-1.example.org:80", "node-1.example.org", "node-1.example.org:80"),
        ("my_host:1", "my_host", "my_host:1"),
        ("127.0.0.1:65535", "127.0.0.1", "127.0.0.1:65535"),
        ("[::1]:9001", "::1", "[::1]:9001"),
        ("[2001:DB8:0:0::1]:9001", "2001:db8::1", "[2001:db8::1]:9001"),
    ];
    for (text, host, shown) in hosts {
        let config = Config::parse(&format!("M: 1\nmetadata0: {text}")).expect(text);
        assert_eq!(config.servers[0].host, host);
        assert_eq!(config.servers[0].to_string(), shown);
    }
}

/// Servers compare it with each other, also with servers of other releases.
#[test]
fn the_digest_tells_whether_two_files_have_the_same_servers_in_the_same_order() {
    let digest = |servers: &str| Config::parse(&format!("M: 2\n{servers}")).unwrap().digest();
    let known = digest("metadata0: localhost:9001\nmetadata1: localhost:9002\n");
    assert_eq!(
        known, 0x8209_5a05_ffdb_e72a,
        "the first bytes of SHA-256 of the names with blanks between"
    );
    for same in [
        "metadata1: localhost:9002\nmetadata0: localhost:9001\n",
        "metadata0: LocalHost:9001 # a comment\nother: line\nmetadata1:localhost:9002",
    ] {
        assert_eq!(digest(same), known, "{same}");
    }
    for other in [
        "metadata0: localhost:9002\nmetadata1: localhost:9001\n",
        "metadata0: localhost:9001\nmetadata1: localhost:9003\n",
        "metadata0: localhost:9001\nmetadata1: 127.0.0.1:9002\n",
    ] {
        assert_ne!(digest(other), known, "{other}");
    }
    let v6 = |host| digest(&format!("metadata0: localhost:9001\nmetadata1: [{host}]:9002\n"));
    assert_eq!(v6("2001:DB8:0:0::1"), v6("2001:db8::1"));
    let fewer = Config::parse("M: 1\nmetadata0: localhost:9001").unwrap();
    assert_ne!(fewer.digest(), known);
}

#[test]
fn an_unknown_line_gives_one_warning() {
    let text = "M: 1\nblock: localhost:8080\nmetadata0: localhost:9001\nmetadataX: a:1\n\u{1b}[31m";
    let config = Config::parse(text).unwrap();
    assert_eq!(addresses(&config), ["localhost:9001"]);
    let [block, server, colour] = config.warnings.as_slice() else {
        panic!("{:?}", config.warnings)
    };
    assert!(block.starts_with("line 2: \"block: localhost:8080\" is ignored"), "{block}");
    assert!(server.starts_with("line 4: \"metadataX: a:1\" is ignored"), "{server}");
    assert!(colour.starts_with(r#"line 5: "\u{1b}[31m" is ignored"#), "{colour}");
}

#[test]
fn a_refusal_says_what_is_wrong_and_where() {
    let refused = [
        ("", "M is missing"),
        ("metadata0: a:1", "M is missing"),
        ("m: 1\nmetadata0: a:1", "M is missing"),
        ("M: 1\nM: 1\nmetadata0: a:1", "line 2: M is already set on line 1"),
        ("M:", "line 1: M is \"\"; expected a number from 1 to 10"),
        ("M", "line 1: M is \"\""),
        ("\nM: 0", "line 2: M is \"0\""),
        ("M: 11", "line 1: M is \"11\""),
        ("M: -1", "line 1: M is \"-1\""),
        ("M: +1", "line 1: M is \"+1\""),
        ("M: 1.0", "line 1: M is \"1.0\""),
        ("M: 1 2", "line 1: M is \"1 2\""),
        ("M: three", "line 1: M is \"three\""),
        ("M: ٣", "line 1: M is \"٣\""),
        ("M: 18446744073709551617", "line 1: M is \"18446744073709551617\""),
        ("M: 1\rmetadata0: a:1", r#"line 1: M is "1\rmetadata0: a:1""#),
        ("M: 1", "metadata0 is missing; M is 1 on line 1"),
        ("M: 2\nmetadata0: a:1", "metadata1 is missing; M is 2 on line 1"),
        ("M: 2\nmetadata1: a:1", "metadata0 is missing"),
        ("M: 1\nmetadata0: a:1\nmetadata0: a:2", "line 3: metadata0 is already set on line 2"),
        ("M: 1\nmetadata0: a:1\nmetadata00: a:2", "line 3: metadata0 is already set on line 2"),
        ("M: 1\nmetadata0: a:1\nmetadata1: a:2", "line 3: metadata1 is beyond M, which is 1"),
        ("metadata9: a:1\nM: 1\nmetadata0: a:2", "line 1: metadata9 is beyond M, which is 1"),
        ("M: 10\nmetadata10: a:1", "line 2: metadata10 is beyond M"),
        (
            "M: 10\nmetadata18446744073709551616: a:1",
            "line 2: metadata18446744073709551616 is beyond M",
        ),
        (
            "M: 2\nmetadata0: a:1\nmetadata1: a:1",
            "line 3: metadata1 has the address a:1 of metadata0 on line 2",
        ),
        (
            "M: 2\nmetadata0: aB:1\nmetadata1: Ab:1",
            "line 3: metadata1 has the address Ab:1 of metadata0",
        ),
        (
            "M: 2\nmetadata1: [::1]:1\nmetadata0: [0:0::1]:01",
            "line 3: metadata0 has the address [::1]:1 of metadata1",
        ),
    ];
    for (text, expected) in refused {
        let line = refusal(text);
        assert!(line.starts_with(expected), "{text:?}: {line}");
    }
}

#[test]
fn an_address_is_a_host_and_a_port() {
    let long = format!("{}:1", "a".repeat(254));
    let refused = [
        ("", "the port is missing in \"\"; expected host:port"),
        ("localhost", "the port is missing in \"localhost\""),
        ("[::1]", "the port is missing in \"[::1]\""),
        ("localhost:", "the port is \"\"; expected a number from 1 to 65535"),
        ("localhost:0", "the port is \"0\""),
        ("localhost:65536", "the port is \"65536\""),
        ("localhost:-1", "the port is \"-1\""),
        ("localhost:+1", "the port is \"+1\""),
        ("localhost:http", "the port is \"http\""),
        ("localhost:9001 x", "the port is \"9001 x\""),
        ("localhost:9001/RPC2", "the port is \"9001/RPC2\""),
        (":9001", "the host is missing"),
        (
            "::1:9001",
            "the host is \"::1\"; expected a host name, an IPv4 address, or an IPv6 address in brackets",
        ),
        ("http://localhost:9001", "the host is \"http://localhost\""),
        ("local host:9001", "the host is \"local host\""),
        ("bücher:9001", "the host is \"bücher\""),
        (long.as_str(), "the host is \"aaaa"),
        ("[]:9001", "\"[]\" is not an IPv6 address"),
        ("[localhost]:9001", "\"[localhost]\" is not an IPv6 address"),
        ("[::1:9001", "the host is \"[::1\""),
    ];
    for (address, expected) in refused {
        let line = refusal(&format!("M: 1\nmetadata0: {address}"));
        assert!(line.starts_with(&format!("line 2: metadata0: {expected}")), "{address:?}: {line}");
    }
}

#[test]
fn a_long_line_is_quoted_in_part() {
    let line = refusal(&format!("M: {}", "1".repeat(100_000)));
    assert!(line.len() < 200, "{line}");
    let config = Config::parse(&format!("M: 1\nmetadata0: a:1\n{}", "é".repeat(100_000))).unwrap();
    assert!(config.warnings[0].len() < 300, "{:?}", config.warnings);
}

#[test]
fn a_file_that_is_no_configuration_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let huge = vec![b'\n'; 1024 * 1024 + 1];
    let refused = [
        (folder.path().join("absent"), "the configuration file cannot be read: No such file"),
        (folder.path().to_owned(), "the configuration file cannot be read: Is a directory"),
        (file("latin 1", b"M: 1\n# caf\xe9\nmetadata0: a:1\n"), "line 2: not UTF-8"),
        (file("UTF-16", b"\xff\xfeM\0:\0 \x001\0"), "line 1: not UTF-8"),
        (file("two\nlines", b"M: 0\n"), "line 1: M is \"0\""),
        (file("huge", &huge), "longer than 1048576 bytes"),
        (Path::new("/dev/zero").to_owned(), "longer than 1048576 bytes"),
    ];
    for (path, expected) in refused {
        let line = arguments_refusal(&[path.to_str().unwrap(), "0"]);
        assert!(line.starts_with(&format!("{path:?}: {expected}")), "{line}");
    }
    let mut largest = b"M: 1\nmetadata0: a:1\n".to_vec();
    largest.resize(1024 * 1024, b' ');
    let largest = file("largest", &largest);
    assert_eq!(addresses(&Config::read(&largest).unwrap()), ["a:1"]);
}

#[test]
fn a_warning_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.txt");
    fs::write(&path, "M: 1\nmetadata0: a:1\nwhat\n").unwrap();
    let config = Config::read(&path).unwrap();
    assert!(
        config.warnings[0].starts_with(&format!("{path:?}: line 3: ")),
        "{:?}",
        config.warnings
    );
}

#[test]
fn a_server_is_started_with_a_file_and_an_id_below_m() {
    let file = "configs/config3.txt";
    for (text, id) in [("0", 0), ("2", 2), ("01", 1)] {
        assert_eq!(ServerArguments::parse([file, text].map(OsString::from)).expect(text).id, id);
    }
    for id in ["3", "-1", "+1", "", " 1", "1.0", "one", "18446744073709551616", "1\n"] {
        let expected = format!("ID is {id:?}; expected a server of {file:?}, 0 to 2");
        assert_eq!(arguments_refusal(&[file, id]), expected);
    }
    let arguments: [&[&str]; 4] = [&[], &[file], &[file, "0", "0"], &["--help"]];
    for wrong in arguments {
        assert!(
            arguments_refusal(wrong).starts_with("wrong number of arguments; usage: "),
            "{wrong:?}"
        );
    }
}

#[test]
fn the_configurations_that_come_with_the_project_have_as_many_servers_as_they_are_named_for() {
    for count in [1, 2, 3, 4, 5, 10] {
        let config = Config::read(Path::new(&format!("configs/config{count}.txt"))).unwrap();
        let expected: Vec<String> =
            (0..count).map(|id| format!("localhost:{}", 9001 + id)).collect();
        assert_eq!(addresses(&config), expected);
        assert_eq!(config.warnings, [""; 0]);
    }
}

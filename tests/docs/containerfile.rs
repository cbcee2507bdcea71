//! The recipe for a container image. No image is built here, so what can be wrong without that is checked in its text.

use std::path::Path;

const TEXT: &str = include_str!("../../Containerfile");
const IGNORED: &str = include_str!("../../.dockerignore");
const MANIFEST: &str = include_str!("../../Cargo.toml");
const GUIDE: &str = include_str!("../../docs/operating.md");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The words of each instruction of that name.
fn instructions(name: &str) -> impl Iterator<Item = Vec<&'static str>> {
    let of_name = move |line: &'static str| line.strip_prefix(name)?.strip_prefix(' ');
    TEXT.lines().filter_map(of_name).map(|line| line.split_whitespace().collect())
}

/// What is copied from the repository or, with the option, from the stage that builds.
fn copied(from_build: bool) -> Vec<&'static str> {
    let of_place = |words: &Vec<&str>| words.contains(&"--from=build") == from_build;
    let sources = |words: Vec<&'static str>| {
        let sources = words.split_last().unwrap().1.to_vec();
        sources.into_iter().filter(|word| !word.starts_with("--"))
    };
    instructions("COPY").filter(of_place).flat_map(sources).collect()
}

/// The programs that cargo builds for it.
fn built() -> Vec<&'static str> {
    let build = instructions("RUN").find(|words| words.starts_with(&["cargo", "build"])).unwrap();
    assert!(build.contains(&"--release") && build.contains(&"--locked"), "{build:?}");
    build.windows(2).filter(|pair| pair[0] == "--bin").map(|pair| pair[1]).collect()
}

#[test]
fn the_image_is_built_from_files_that_exist_and_that_cargo_needs() {
    let sources = copied(false);
    for source in &sources {
        assert!(Path::new(ROOT).join(source).exists(), "{source}");
    }
    for (needed, by) in [
        ("Cargo.toml", "[package]"),
        ("Cargo.lock", "[dependencies]"),
        ("src", "[[bin]]"),
        ("tests", "[[test]]"),
        ("tests", "members = [\"tests/support\"]"),
        ("benches", "[[bench]]"),
    ] {
        assert!(MANIFEST.contains(by), "{by}");
        assert!(sources.contains(&needed), "{needed}");
    }
}

#[test]
fn the_builder_reads_what_is_copied_and_no_builds_of_the_machine() {
    let patterns: Vec<_> = IGNORED.lines().filter(|line| !line.starts_with('#')).collect();
    let copied = copied(false).into_iter().map(|source| format!("!{source}"));
    // The last pattern that fits a path decides.
    let expected = ["*".to_owned()].into_iter().chain(copied).chain(["**/target".to_owned()]);
    assert_eq!(patterns, expected.collect::<Vec<_>>());
}

#[test]
fn the_image_has_the_programs_that_are_built_and_starts_one_of_them() {
    let programs = built();
    let paths = |program: &&str| format!("/src/target/release/{program}");
    assert_eq!(copied(true), programs.iter().map(paths).collect::<Vec<_>>());
    for program in &programs {
        let source = format!("{ROOT}/src/bin/{program}.rs");
        assert!(Path::new(&source).exists(), "{source}");
    }
    let entry: Vec<_> = instructions("ENTRYPOINT").collect();
    assert_eq!(entry, [["[\"surfstore-server\"]"]]);
    assert!(programs.contains(&"surfstore-server"));
}

#[test]
fn the_guide_names_the_user_and_the_paths_of_the_image() {
    let variable =
        |name: &str| instructions("ENV").find_map(|words| words[0].strip_prefix(name)).unwrap();
    let config = variable("SURFSTORE_CONFIG=");
    let data = variable("SURFSTORE_DATA_DIR=");
    let volume = instructions("VOLUME").next().unwrap()[0];
    assert_eq!(data.strip_prefix(volume), Some("/data"));
    let (user, group) = instructions("USER").next().unwrap()[0].split_once(':').unwrap();
    assert!(user.parse::<u32>().is_ok_and(|user| 0 < user), "{user}");
    let created = format!("install -d -m 700 -o {user} -g {group} {volume}");
    assert!(instructions("RUN").any(|words| words.join(" ") == created), "{created}");
    let section = GUIDE.split("\n## ").find(|section| section.starts_with("Containers\n")).unwrap();
    for named in [
        format!("runs as user {user},"),
        format!("belong to user {user}:"),
        format!("servers.txt:{config}:ro\""),
        format!("surfstore-0:{volume} surfstore {config} 0\n"),
        format!("surfstore-0:{volume} surfstore --check {data}\n"),
        format!("surfstore-0:{volume}:U`"),
    ] {
        assert!(section.contains(&named), "{named}");
    }
}

#[test]
fn the_image_is_built_with_the_oldest_toolchain_and_its_versions_are_pinned() {
    let oldest = MANIFEST.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    let images: Vec<_> = instructions("FROM").map(|words| words[0]).collect();
    let oldest = format!("docker.io/library/rust:{}-slim-", oldest.trim_matches('"'));
    assert!(images[0].starts_with(&oldest), "{images:?}");
    for image in images {
        let tag = image.split(':').nth(1).unwrap();
        assert!(tag.starts_with(|first: char| first.is_ascii_digit()), "{image}");
    }
}

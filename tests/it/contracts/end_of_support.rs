//! docs/end-of-support.md names what the lock file, the template and the price book have today.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use thaw_core::PriceList;

use super::template::{Template, text};

const DOCUMENT: &str = include_str!("../../../docs/end-of-support.md");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// The cells of a section's table, without its head.
fn rows(section: &str) -> Vec<Vec<&'static str>> {
    let rest = DOCUMENT.split(&format!("## {section}\n")).nth(1).unwrap_or_else(|| panic!("no section {section}"));
    let rest = rest.split("\n## ").next().unwrap_or_default();
    let lines = rest.lines().filter(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// The crates that the functions' program names itself, without ours.
fn crates() -> BTreeSet<String> {
    let manifests = ["core", "lambdas/custom-resource", "lambdas/steps", "lambdas/bootstrap", "aws"];
    let mut names = BTreeSet::new();
    for manifest in manifests.map(|folder| read(&format!("{folder}/Cargo.toml"))) {
        let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
        let section = section.split("\n[").next().unwrap_or_default();
        let lines = section.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
        // What is optional is for the OpenAPI file, and in no function.
        let lines = lines.filter(|line| !line.contains("optional"));
        names.extend(lines.map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned()));
    }
    names.retain(|name| !name.starts_with("thaw-"));
    names
}

/// Of each package of the lock file, its versions as `1.157`.
fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let lock = read("Cargo.lock");
    for package in lock.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(&format!("{name} = \"")));
            line.unwrap_or_default().trim_end_matches('"').to_owned()
        };
        let version = field("version").splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        versions.entry(field("name")).or_default().insert(version);
    }
    versions
}

#[test]
fn the_crates_of_the_functions_are_named_with_their_versions() {
    let locked = locked();
    let mut named = BTreeSet::new();
    for row in rows("Crates in the functions") {
        let name = row[0].trim_matches('`');
        let versions = locked.get(name).unwrap_or_else(|| panic!("the lock file has no {name}"));
        assert!(versions.contains(row[1]), "{name} is {versions:?} now, not {}", row[1]);
        named.insert(name.to_owned());
    }
    assert_eq!(named, crates());
}

#[test]
fn the_services_are_those_of_the_template_and_those_that_are_only_called() {
    let template = Template::load();
    let service = |kind: &String| kind.rsplit_once("::").map_or(kind.clone(), |(service, _)| service.to_owned());
    let of_template: BTreeSet<String> =
        template.types().iter().map(service).filter(|name| name.starts_with("AWS::")).collect();
    let rows = rows("Services");
    let names = |only_called: bool| -> BTreeSet<String> {
        let cells = rows.iter().map(|row| row[0]).filter(|cell| cell.ends_with("only called") == only_called);
        let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned);
        names.collect()
    };
    assert_eq!(names(false), of_template);
    assert_eq!(names(true), ["AWS::CloudFormation", "AWS::CloudFront"].map(str::to_owned).into());
}

#[test]
fn what_ends_on_a_known_date_is_what_is_used() {
    let template = Template::load();
    let functions = template.resources("AWS::Lambda::Function");
    let runtimes: BTreeSet<String> = functions.values().map(|function| text(&function["Runtime"])).collect();
    let ends = rows("What ends on a known date");
    assert_eq!(runtimes.len(), 1);
    assert!(ends[0][0].contains(&format!("`{}`", runtimes.first().unwrap())), "{ends:?}");
    assert!(ends[1][0].contains(&format!("Prices of {} ", PriceList::US_EAST_1.read)), "{ends:?}");
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = \"")).unwrap_or_default();
    let rust = channel.trim_end_matches('"').trim_end_matches(".0");
    assert!(DOCUMENT.contains(&format!("Rust {rust} (`rust-toolchain.toml`)")), "the toolchain is {rust}");
    // The files that are named are there.
    let files = DOCUMENT.split('`').skip(1).step_by(2).filter(|word| word.contains('/') && word.contains('.'));
    for file in files.filter(|word| !word.contains(' ') && !word.contains("::")) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file).exists(), "there is no {file}");
    }
}

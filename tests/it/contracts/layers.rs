//! No circle of files in any crate, and the layers of the steps.
//!
//! A file that imports from a file may not be imported by it, over however many others: each can then be read, and tested,
//! before what uses it. Tests may import what they like.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use imports::{Files, Import, imports};

/// Every crate's sources.
const SOURCES: [&str; 10] = [
    "aws/src",
    "bench/restore/src",
    "bench/src",
    "core/src",
    "lambdas/bootstrap/src",
    "lambdas/custom-resource/src",
    "lambdas/steps/src",
    "sim/src",
    "tests/worlds/src",
    "xtask/src",
];

/// The folders of the steps. Each may import from itself, from the folders after its name, and from [`BASE`].
const LAYERS: [(&str, &[&str]); 9] = [
    ("workflow", &["planning", "views", "publishing", "archive", "ledger"]),
    ("api", &["planning", "views", "publishing", "archive", "ledger"]),
    ("events", &["planning", "views", "publishing", "archive", "ledger"]),
    ("deployment", &["ledger"]),
    ("planning", &["publishing", "archive", "ledger"]),
    ("views", &["ledger"]),
    ("publishing", &["archive", "ledger"]),
    ("archive", &["ledger"]),
    ("ledger", &[]),
];

/// The files that every layer may import.
const BASE: [&str; 4] = ["ports", "settings", "error", "metrics"];

/// May import everything. Outside of tests nobody imports it.
const TESTING: &str = "testing";

/// The files of a folder, by their paths under it.
fn read(folder: &Path) -> Files {
    let (mut files, mut left) = (Files::new(), vec![folder.to_owned()]);
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|inner| inner.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    files
}

fn source(folder: &str) -> Files {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder))
}

/// The shortest circle, as `a.rs → b.rs → a.rs`.
fn circle(imports: &BTreeSet<Import>) -> Option<String> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in imports {
        next.entry(from).or_default().push(to);
    }
    let circles = next.keys().filter_map(|begin| way_back(&next, begin));
    circles.min_by_key(Vec::len).map(|circle| circle.join(" → "))
}

/// The shortest way from a file to itself.
fn way_back<'a>(next: &BTreeMap<&'a str, Vec<&'a str>>, begin: &'a str) -> Option<Vec<&'a str>> {
    let (mut ways, mut seen) = (vec![vec![begin]], BTreeSet::new());
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in &ways {
            for to in next.get(way[way.len() - 1]).into_iter().flatten() {
                let way = [way.as_slice(), &[*to]].concat();
                if *to == begin {
                    return Some(way);
                }
                if seen.insert(*to) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}

/// All imports of all crates, by the files' paths from the root of the workspace.
fn all_imports() -> BTreeSet<Import> {
    let of = |folder: &str| {
        let named = |file: String| format!("{folder}/{file}");
        imports(&source(folder)).into_iter().map(move |(from, to)| (named(from), named(to))).collect::<Vec<_>>()
    };
    SOURCES.into_iter().flat_map(of).collect()
}

/// The imports among the steps that a layer does not allow, each with a reason.
fn against_the_layers(imports: &BTreeSet<Import>) -> Vec<String> {
    let layer = |file: &str| file.split_once('/').map(|(folder, _)| folder.to_owned());
    let is_base = |file: &str| BASE.iter().any(|base| file == format!("{base}.rs"));
    let mut found = Vec::new();
    for (from, to) in imports {
        let (from_layer, to_layer) = (layer(from), layer(to));
        if from_layer.as_deref() == Some(TESTING) {
            continue;
        }
        if to_layer.as_deref() == Some(TESTING) {
            found.push(format!("{from} → {to}: only tests import {TESTING}"));
            continue;
        }
        let Some((name, below)) = LAYERS.into_iter().find(|(name, _)| from_layer.as_deref() == Some(name)) else {
            continue;
        };
        let is_below = to_layer.as_deref().is_some_and(|to| to == name || below.contains(&to));
        if !is_below && !is_base(to) {
            found.push(format!("{from} → {to}: {name} may import {:?}", [below, BASE.as_slice()].concat()));
        }
    }
    found
}

#[test]
fn no_file_imports_itself_over_others() {
    let imports = all_imports();
    for (from, to) in [("sim/src/cdn/edge.rs", "sim/src/cdn/path.rs"), ("xtask/src/main.rs", "xtask/src/up.rs")] {
        assert!(imports.contains(&(from.to_owned(), to.to_owned())), "or this test reads nothing: {from} imports {to}");
    }
    if let Some(circle) = circle(&imports) {
        panic!("these files import each other: {circle}");
    }
}

#[test]
fn the_steps_keep_to_their_layers() {
    let found = against_the_layers(&imports(&source("lambdas/steps/src")));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A made-up tree.
fn tree(files: &[(&str, &str)]) -> Files {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// The circle of a made-up tree, in the words of the message.
fn circle_of(files: &[(&str, &str)]) -> Option<String> {
    circle(&imports(&tree(files)))
}

/// What one file of a made-up tree imports.
fn imported_by(from: &str, files: &[(&str, &str)]) -> Vec<String> {
    imports(&tree(files)).into_iter().filter(|import| import.0 == from).map(|import| import.1).collect()
}

#[test]
fn a_circle_is_found_and_named() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::{self, inner::{B, *}}; pub struct A(B);"),
        ("b.rs", "pub mod inner { pub struct B(super::super::c::C); }"),
        ("c.rs", "pub struct C; fn c() { crate::a::A; }"),
    ];
    assert_eq!(circle_of(&files).unwrap(), "a.rs → b.rs → c.rs → a.rs");
    assert_eq!(circle_of(&files[..3]), None);
}

#[test]
fn a_circle_through_a_re_export_is_found_and_the_parent_is_no_part_of_it() {
    let files = [
        ("lib.rs", "mod kinds; pub use kinds::{One, Two as Second};"),
        ("kinds/mod.rs", "mod one; mod two; pub use one::One; pub use two::*;"),
        ("kinds/one.rs", "use crate::Second; pub struct One(Second);"),
        ("kinds/two.rs", "use super::One; pub struct Two(One);"),
    ];
    assert_eq!(circle_of(&files).unwrap(), "kinds/one.rs → kinds/two.rs → kinds/one.rs");
}

#[test]
fn a_parent_that_defines_what_its_children_use_is_part_of_a_circle() {
    let parent = "mod child; pub use child::Child; pub struct Parent;";
    let child = ("kinds/child.rs", "use super::Parent; pub struct Child(Parent);");
    let files = |parent: &'static str| [("lib.rs", "mod kinds;"), ("kinds/mod.rs", parent), child];
    assert_eq!(circle_of(&files(parent)), None, "a re-export is no import");
    for parent in [
        "mod child; pub use child::Child; pub struct Parent(Vec<Child>);",
        "mod child; use child::Child; pub struct Parent(Vec<Child>);",
        "mod child; pub struct Parent(Vec<child::Child>);",
    ] {
        assert_eq!(circle_of(&files(parent)).unwrap(), "kinds/child.rs → kinds/mod.rs → kinds/child.rs", "{parent}");
    }
}

#[test]
fn what_tests_comments_and_strings_import_does_not_count() {
    let b = r##"
        pub struct B;
        // use crate::a::A;
        /* /* use crate::a::A; */ crate::a::A */
        const TEXT: &str = "\" crate::a::A";
        const RAW: &str = r#"" crate::a::A"#;
        const QUOTE: char = '"'; const OTHER: char = '\'';
        #[cfg(test)]
        use crate::a::{A, B as C};
        #[cfg(test)]
        fn made_up<'a, T>(a: &'a T) -> crate::a::A { crate::a::A(B) }
        #[cfg(test)]
        #[derive(Debug)]
        struct Made(crate::a::A);
        #[cfg(test)]
        mod tests { use crate::a::A; #[test] fn test() { super::super::a::A(B); } }
        #[cfg(test)]
        mod more;
    "##;
    let files = [("lib.rs", "mod a; mod b;"), ("a.rs", "pub struct A(crate::b::B);"), ("b.rs", b)];
    assert_eq!(circle_of(&files), None);
    let used = format!("{b} fn used() {{ crate::a::A; }}");
    let files = [files[0], files[1], ("b.rs", used.as_str())];
    assert_eq!(circle_of(&files).unwrap(), "a.rs → b.rs → a.rs", "what comes after them counts");
}

#[test]
fn paths_are_resolved_as_the_compiler_does() {
    let lib = ("lib.rs", "mod a; mod b; mod other; pub use other::deep::Deep;");
    let others =
        [("b.rs", "pub struct B; pub fn b() {}"), ("other.rs", "pub mod deep;"), ("other/deep.rs", "pub struct Deep;")];
    for (a, imported) in [
        ("use super::b::B;", vec!["b.rs"]),
        ("use crate::b; fn a() { b::b() }", vec!["b.rs"]),
        ("use crate::b as c; fn a() { c::b() }", vec!["b.rs"]),
        ("fn a() -> impl Fn() + use<> { self::super::b::b }", vec!["b.rs"]),
        ("use super::Deep;", vec!["other/deep.rs"]),
        ("use crate::other; type A = other::deep::Deep;", vec!["other/deep.rs"]),
        ("use crate::*; fn a() {}", vec!["other/deep.rs"]),
        ("use std::fmt::{self, Debug}; use serde::b::B; fn a(a: &dyn fmt::Debug) { a.b() }", vec![]),
    ] {
        assert_eq!(imported_by("a.rs", &[[lib, ("a.rs", a)].as_slice(), &others].concat()), imported, "{a}");
    }
}

#[test]
fn what_a_layer_does_not_allow_is_found() {
    let steps = |files: &[(&str, &str)]| {
        let root = "pub mod workflow; mod api; mod planning; mod ledger; mod testing; pub mod ports; mod price; pub use ledger::Row;";
        let base = [
            ("lib.rs", root),
            ("workflow/mod.rs", "pub mod plan;"),
            ("api/mod.rs", "pub mod http;"),
            ("api/http.rs", "pub struct Http;"),
            ("planning/mod.rs", "pub mod survey;"),
            ("ledger/mod.rs", "mod rows; pub use rows::Row;"),
            ("ledger/rows.rs", "use crate::ports::Port; pub struct Row(Port);"),
            ("testing/mod.rs", "pub mod memory;"),
            ("testing/memory.rs", "use crate::{Row, api::http::Http}; pub struct Memory;"),
            ("ports.rs", "pub struct Port;"),
            ("price.rs", "pub struct Price; fn price() { crate::api::http::Http; }"),
        ];
        let mut tree = tree(&base);
        tree.extend(self::tree(files));
        against_the_layers(&imports(&tree))
    };
    let survey = ("planning/survey.rs", "pub struct Survey(crate::Row);");
    let plan = ("workflow/plan.rs", "use crate::planning::survey::Survey; use crate::{Row, ports::Port};");
    assert_eq!(steps(&[plan, survey]), Vec::<String>::new());
    for (file, text, found) in [
        ("workflow/plan.rs", "use crate::api::http::Http;", "workflow/plan.rs → api/http.rs"),
        ("planning/survey.rs", "use crate::workflow::plan::Plan;", "planning/survey.rs → workflow/plan.rs"),
        ("ledger/rows.rs", "use crate::price::Price; pub struct Row;", "ledger/rows.rs → price.rs"),
        ("price.rs", "use crate::testing::memory::Memory;", "price.rs → testing/memory.rs"),
        ("workflow/plan.rs", "use crate::testing::memory;", "workflow/plan.rs → testing/memory.rs"),
    ] {
        let found_too = steps(&[survey, ("workflow/plan.rs", "pub struct Plan;"), (file, text)]);
        assert_eq!(found_too.len(), 1, "{found_too:?}");
        assert!(found_too[0].starts_with(found), "{found_too:?}");
    }
    let tested = ("workflow/plan.rs", "#[cfg(test)] mod tests { use crate::testing::memory::Memory; }");
    assert_eq!(steps(&[survey, tested]), Vec::<String>::new());
}

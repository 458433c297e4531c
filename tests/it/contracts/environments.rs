//! Whoever starts a function by hand gives it the variables that the template gives it, and no others.
//!
//! A function that needs one variable more ends at once, and a bench of it then measures nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::template::{Template, object};

#[path = "../../../bench/src/function.rs"]
mod started_by_the_bench;

/// What only runs on this machine give a function. The template has none of them.
const LOCAL: [&str; 7] = [
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_DYNAMODB",
    // The bench's own certificates: for Rust, Python and Node.
    "SSL_CERT_FILE",
    "AWS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED",
    "THAW_LOCAL",
];

/// What Lambda gives every function (Lambda Developer Guide, "Defined runtime environment variables").
const LAMBDA: [&str; 11] = [
    "_HANDLER",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
];

/// The files that start functions, or build a step's clients, with an environment of their own.
const STARTERS: [&str; 2] = ["bench/src/invoke.rs", "bench/restore/src/client/thaw.rs"];

/// The files that name `_HANDLER`: the function itself, the bench that sets it, and who asks a running function for it.
const NAME_THE_HANDLER: [&str; 4] = [
    "bench/src/invoke.rs",
    "lambdas/bootstrap/src/main.rs",
    "tests/it/local_stack/lambdas.rs",
    "xtask/src/ministack.rs",
];

/// The variables of the functions that a test picks by their handlers.
fn of_the_template(is_meant: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let functions = Template::load().resources("AWS::Lambda::Function");
    let meant = functions.values().filter(|function| is_meant(function["Handler"].as_str().unwrap_or_default()));
    meant.flat_map(|function| object(&function["Environment"]["Variables"]).keys().cloned()).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The strings of a source file that look like the names of variables.
fn names(source: &str) -> BTreeSet<String> {
    let is_name = |text: &&str| {
        let parts = |char: char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '_';
        text.contains('_') && text.chars().all(parts)
    };
    source.lines().flat_map(|line| line.split('"').skip(1).step_by(2)).filter(is_name).map(str::to_owned).collect()
}

#[test]
fn the_bench_gives_its_function_what_the_template_gives_it() {
    let given: BTreeSet<String> =
        started_by_the_bench::FROM_THE_TEMPLATE.iter().map(|(name, _)| (*name).to_owned()).collect();
    let wanted = of_the_template(|handler| handler == started_by_the_bench::HANDLER);
    assert_eq!(given, wanted, "bench/src/function.rs (left) and infra/template.yaml (right)");
}

#[test]
fn nobody_gives_a_function_a_variable_that_is_neither_the_templates_nor_lambdas_nor_of_local_runs() {
    let mut known = of_the_template(|_| true);
    known.extend(LAMBDA.iter().chain(&LOCAL).map(|name| (*name).to_owned()));
    for file in STARTERS {
        let unknown: Vec<_> = names(&read(file)).difference(&known).cloned().collect();
        assert!(unknown.is_empty(), "{file} gives {unknown:?}, which infra/template.yaml does not");
    }
    assert!(names(&read(STARTERS[0])).contains("_HANDLER"), "or this test reads nothing");
    for (name, _) in started_by_the_bench::FROM_LAMBDA {
        assert!(LAMBDA.contains(&name), "bench/src/function.rs gives {name}, which Lambda does not");
    }
}

/// What the emulator hands on to every function would hide that the template forgot it.
#[test]
fn the_emulator_gives_no_function_what_the_template_is_to_give() {
    let emulator = names(&read("xtask/src/ministack.rs"));
    assert!(emulator.contains("THAW_LOCAL"), "or this test reads nothing");
    let both: Vec<_> = emulator.intersection(&of_the_template(|_| true)).cloned().collect();
    assert!(both.is_empty(), "xtask/src/ministack.rs names {both:?}");
    let both: Vec<_> = of_the_template(|_| true).into_iter().filter(|name| LOCAL.contains(&name.as_str())).collect();
    assert!(both.is_empty(), "the template gives {both:?}, which only local runs use");
}

#[test]
fn whoever_starts_a_function_by_hand_is_known_here() {
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> =
        ["aws", "bench", "core", "lambdas", "sim", "tests", "xtask"].iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|inner| inner.unwrap().path()));
            continue;
        }
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        let is_meant = name.ends_with(".rs") && name != "tests/it/contracts/environments.rs";
        if is_meant && fs::read_to_string(&path).unwrap().contains("\"_HANDLER") {
            found.push(name);
        }
    }
    found.sort();
    assert_eq!(found, NAME_THE_HANDLER, "a file that starts functions belongs into STARTERS too");
}

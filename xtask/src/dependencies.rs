//! What we let in: every crate from the registry, under a license that allows anyone to use thaw freely, and no second
//! TLS stack. A few lines over `cargo metadata`, because the usual tools take longer to compile than all of thaw.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace::cargo;

/// Licenses that ask for no more than to be named.
const LICENSES: [&str; 11] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// What would be a second TLS stack, or C code that every build has to compile.
const BANNED: [&str; 4] = ["openssl-sys", "native-tls", "aws-lc-sys", "aws-lc-rs"];

/// Crates of which two versions at once would be two TLS stacks.
const SINGLE: [&str; 3] = ["rustls", "ring", "hyper"];

/// Checks every crate of the lock file.
pub fn check() -> Result<()> {
    let output = cargo(&["metadata", "--locked", "--format-version", "1"])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot start cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata failed")?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let mut troubles = Vec::new();
    for package in packages {
        let word = |field: &str| package[field].as_str().unwrap_or_default();
        let (name, version) = (word("name"), word("version"));
        // Our own crates have no source.
        if !package["source"].is_null() && !word("source").starts_with("registry+") {
            troubles.push(format!("{name} {version} comes from {}", word("source")));
        }
        if !allows(word("license"), &LICENSES) {
            troubles.push(format!("{name} {version} has the license \"{}\"", word("license")));
        }
        if BANNED.contains(&name) {
            troubles.push(format!("{name} {version} is banned"));
        }
    }
    for single in SINGLE {
        let named = packages.iter().filter(|package| package["name"] == single);
        let versions: BTreeSet<_> = named.filter_map(|package| package["version"].as_str()).collect();
        if versions.len() > 1 {
            troubles.push(format!("{single} is there in more than one version: {versions:?}"));
        }
    }
    if !troubles.is_empty() {
        bail!("{}", troubles.join("\n"));
    }
    println!("{} crates: sources, licenses and bans are as they should be", packages.len());
    Ok(())
}

/// Whether a license expression can be met with the allowed licenses alone: `OR` leaves the choice, `AND` does not.
/// An exception (`WITH`) only ever allows more.
fn allows(expression: &str, allowed: &[&str]) -> bool {
    // Some old crates write `MIT/Apache-2.0` and mean OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any_of(&mut words, allowed);
    met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words, allowed: &[&str]) -> bool {
    let mut met = all_of(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all_of(words, allowed);
    }
    met
}

fn all_of(words: &mut Words, allowed: &[&str]) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words, allowed: &[&str]) -> bool {
    let met = match words.next() {
        Some("(") => {
            let met = any_of(words, allowed);
            words.next_if_eq(&")").is_some() && met
        }
        Some(license) => allowed.contains(&license),
        None => false,
    };
    if words.next_if_eq(&"WITH").is_some() {
        words.next();
    }
    met
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: bool) {
        assert_eq!(allows(expression, &["MIT", "ISC", "Apache-2.0"]), expected, "{expression}");
    }

    #[test]
    fn or_leaves_the_choice() {
        check("MIT OR GPL-3.0", true);
        check("GPL-3.0/MIT", true);
        check("GPL-3.0 OR AGPL-3.0", false);
    }

    #[test]
    fn and_does_not() {
        check("MIT AND ISC", true);
        check("MIT AND GPL-3.0", false);
        check("(GPL-3.0 OR MIT) AND ISC", true);
        check("(GPL-3.0 OR MIT) AND OpenSSL", false);
    }

    #[test]
    fn an_exception_allows_more() {
        check("Apache-2.0 WITH LLVM-exception", true);
        check("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true);
    }

    #[test]
    fn no_license_is_no_permission() {
        check("", false);
        check("MIT garbage", false);
    }
}

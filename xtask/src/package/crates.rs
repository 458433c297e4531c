//! Which crates are in a program, as cargo resolves them for this very program.
//!
//! Not what `cargo metadata` alone says: it resolves the features of the whole workspace at once, and so names more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::architecture::Architecture;
use super::build::Folder;
use crate::workspace::cargo;

/// A name and a version.
pub type Id = (String, String);

/// A crate, as its manifest and the lock file describe it.
#[derive(Debug)]
pub struct Crate {
    /// An SPDX expression.
    pub license: String,
    pub authors: Vec<String>,
    /// The folder of its sources.
    pub folder: PathBuf,
    /// The SHA-256 of what was downloaded; none for those of the workspace.
    pub checksum: Option<String>,
}

/// The crates that are compiled into some programs.
#[derive(Debug, Default)]
pub struct Crates {
    /// The crate of each program.
    pub programs: Vec<Id>,
    pub crates: BTreeMap<Id, Crate>,
    /// Which crates use which others.
    pub uses: BTreeMap<Id, BTreeSet<Id>>,
}

impl Crates {
    /// The crates in the programs of these packages, for either architecture. Those that only run while others are compiled
    /// are left out: build scripts' and macros'.
    pub fn of(folder: &Folder, packages: &[&str]) -> Result<Self> {
        let mut all = Self::default();
        for package in packages {
            for architecture in Architecture::ALL {
                let tree = output(
                    folder,
                    &[
                        "tree",
                        "--locked",
                        "--package",
                        package,
                        "--target",
                        architecture.triple(),
                        "--edges",
                        "normal,no-proc-macro",
                        "--prefix",
                        "depth",
                        "--format",
                        " {p}",
                    ],
                )?;
                all.add(&tree).with_context(|| format!("cannot read what cargo tree says of {package}"))?;
            }
        }
        all.describe(folder)?;
        Ok(all)
    }

    /// Adds the lines of `cargo tree`: a depth, a name, a version.
    fn add(&mut self, tree: &str) -> Result<()> {
        let mut above: Vec<Id> = Vec::new();
        for line in tree.lines() {
            let mut words = line.split_whitespace();
            let depth: usize = words.next().context("a line is empty")?.parse()?;
            let (Some(name), Some(version)) = (words.next(), words.next().and_then(|word| word.strip_prefix('v')))
            else {
                anyhow::bail!("a line has no name and version: {line}");
            };
            let id = (name.to_owned(), version.to_owned());
            above.truncate(depth);
            match above.last() {
                Some(user) => {
                    self.uses.entry(user.clone()).or_default().insert(id.clone());
                }
                None if self.programs.contains(&id) => {}
                None => self.programs.push(id.clone()),
            }
            self.uses.entry(id.clone()).or_default();
            above.push(id);
        }
        Ok(())
    }

    /// Adds what the manifests and the lock file say.
    fn describe(&mut self, folder: &Folder) -> Result<()> {
        let lock = std::fs::read_to_string(folder.source.join("Cargo.lock")).context("cannot read Cargo.lock")?;
        let mut checksums = checksums(&lock);
        for architecture in Architecture::ALL {
            let args = ["metadata", "--locked", "--format-version", "1", "--filter-platform", architecture.triple()];
            let metadata: Metadata =
                serde_json::from_str(&output(folder, &args)?).context("cannot read cargo metadata")?;
            for package in metadata.packages {
                let id = (package.name, package.version);
                if !self.uses.contains_key(&id) || self.crates.contains_key(&id) {
                    continue;
                }
                let folder = package.manifest_path.parent().context("a manifest has a folder")?.to_owned();
                let license = package.license.with_context(|| format!("{} {} names no license", id.0, id.1))?;
                let described = Crate {
                    // Before 2016, a slash meant `OR`.
                    license: license.split('/').map(str::trim).collect::<Vec<_>>().join(" OR "),
                    authors: package.authors,
                    folder,
                    checksum: checksums.remove(&id),
                };
                self.crates.insert(id, described);
            }
        }
        let unknown = self.uses.keys().find(|id| !self.crates.contains_key(*id));
        ensure!(unknown.is_none(), "cargo metadata does not name {unknown:?}");
        Ok(())
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    authors: Vec<String>,
    manifest_path: PathBuf,
}

/// What a cargo command prints.
fn output(folder: &Folder, args: &[&str]) -> Result<String> {
    let mut command = cargo(args);
    command.current_dir(&folder.source).env("CARGO_HOME", &folder.cargo_home).stderr(std::process::Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    ensure!(output.status.success(), "`cargo {}` ended with {}", args.join(" "), output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// The checksums in a lock file.
fn checksums(lock: &str) -> BTreeMap<Id, String> {
    let field = |package: &str, name: &str| {
        let found = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
        found.and_then(|value| value.strip_suffix('"')).map(str::to_owned)
    };
    let read =
        |package: &str| Some(((field(package, "name")?, field(package, "version")?), field(package, "checksum")?));
    lock.split("[[package]]").filter_map(read).collect()
}

/// Whether a file of a crate has terms of its license.
pub fn has_terms(file: &Path) -> bool {
    const BEGINNINGS: [&str; 6] = ["copying", "copyright", "licence", "license", "notice", "unlicense"];
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    file.is_file() && BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str, version: &str) -> Id {
        (name.to_owned(), version.to_owned())
    }

    #[test]
    fn a_tree_says_who_uses_whom() {
        let mut crates = Crates::default();
        crates
            .add("0 thaw v0.1.0 (/thaw/cli)\n1 ring v0.17.14\n2 libc v0.2.1\n1 serde v1.0.0\n1 libc v0.2.1 (*)\n")
            .unwrap();
        assert_eq!(crates.programs, [id("thaw", "0.1.0")]);
        let uses =
            |name, version| crates.uses[&id(name, version)].iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        assert_eq!(uses("thaw", "0.1.0"), ["libc", "ring", "serde"]);
        assert_eq!(uses("ring", "0.17.14"), ["libc"]);
        assert_eq!(uses("serde", "1.0.0"), [""; 0]);
    }

    #[test]
    fn a_tree_that_is_none_is_an_error() {
        assert!(Crates::default().add("thaw v0.1.0\n").is_err());
        assert!(Crates::default().add("0 thaw\n").is_err());
    }

    #[test]
    fn a_checksum_belongs_to_a_name_and_a_version() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"11\"\ndependencies = [\n \"b\",\n]\n\n\
                    [[package]]\nname = \"b\"\nversion = \"2.0.0\"\n";
        assert_eq!(checksums(lock), BTreeMap::from([(id("a", "1.0.0"), String::from("11"))]));
    }
}

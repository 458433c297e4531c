//! That a package does not depend on where it is built.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::build::{Files, Folder};

/// Does something with a copy of a folder, in which cargo's home has another name, too.
pub fn with_copy<T>(here: &Folder, build: impl FnOnce(&Folder) -> Result<T>) -> Result<T> {
    let dir = here.target.join("package-check");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    let source = dir.join("copy");
    let copy = Folder { target: source.join("target"), source, cargo_home: dir.join("cargo") };
    copy_sources(&here.source, &copy.source)?;
    // Downloads and the configuration are the same, so the check needs no network.
    fs::create_dir_all(&copy.cargo_home)?;
    for entry in fs::read_dir(&here.cargo_home)? {
        let entry = entry?;
        symlink(entry.path(), copy.cargo_home.join(entry.file_name()))?;
    }
    let made = build(&copy)?;
    fs::remove_dir_all(&dir)?;
    Ok(made)
}

/// Copies everything but what cargo and git made.
fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name == ".git" {
            continue;
        }
        let to = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy_sources(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Fails if two packages differ, and names the first byte that does in each file.
pub fn compare(first: &Files, second: &Files) -> Result<()> {
    let mut differences = Vec::new();
    for name in first.keys().chain(second.keys().filter(|name| !first.contains_key(*name))) {
        match (first.get(name), second.get(name)) {
            (Some(first), Some(second)) if first == second => {}
            (Some(first), Some(second)) => {
                let same = first.iter().zip(second).take_while(|(first, second)| first == second).count();
                differences.push(format!(
                    "{name} differs from byte {same} on ({} and {} bytes)",
                    first.len(),
                    second.len()
                ));
            }
            (Some(_), None) | (None, Some(_)) => differences.push(format!("{name} was made once only")),
            (None, None) => {}
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    bail!("the second build differs: {}", differences.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named() {
        let files = |content: &str| Files::from([(String::from("thaw.zip"), content.as_bytes().to_vec())]);
        compare(&files("same"), &files("same")).unwrap();
        let error = compare(&files("same"), &files("sane")).unwrap_err().to_string();
        assert!(error.contains("thaw.zip differs from byte 2 on"), "{error}");
        let error = compare(&files("same"), &Files::new()).unwrap_err().to_string();
        assert!(error.contains("thaw.zip was made once only"), "{error}");
    }

    #[test]
    fn a_copy_has_all_sources_and_nothing_that_was_built() {
        let dir = std::env::temp_dir().join(format!("thaw-copy-{}", std::process::id()));
        let (from, to) = (dir.join("from"), dir.join("to"));
        for file in ["Cargo.toml", ".cargo/config.toml", "core/src/lib.rs", "target/debug/thaw", ".git/HEAD"] {
            let file = from.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "content").unwrap();
        }
        copy_sources(&from, &to).unwrap();
        for (file, copied) in [
            ("Cargo.toml", true),
            (".cargo/config.toml", true),
            ("core/src/lib.rs", true),
            ("target", false),
            (".git", false),
        ] {
            assert_eq!(to.join(file).exists(), copied, "{file}");
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}

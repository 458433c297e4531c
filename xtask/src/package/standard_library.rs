//! Where Rust's standard library for an architecture comes from.
//!
//! rustup has it compiled for every architecture. Where that is not installed, it is compiled from the source of the very
//! version that rustc has: rustup's, or Debian's.
//!
//! cargo looks for the source in the compiler's sysroot, and names its crates by their paths in it. So it gets a sysroot with the
//! source at the usual place, and the same names wherever that sysroot is.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};

use super::architecture::Architecture;
use super::debian;

/// Debian's package with the source, and where it is in it. Debian's changes to `library/` concern Windows only.
const RELEASE: &str = "1.95.0";
const DEBIAN: debian::Package = debian::Package {
    name: "rust-src",
    pinned: Some(("1.95.0+dfsg1-2~bpo13+1", "7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b")),
    members: &["usr/src/rustc-1.95.0/library"],
};

/// Where a sysroot has the source.
pub const SOURCE: &str = "lib/rustlib/src/rust";

/// The standard library of one architecture.
#[derive(Debug, PartialEq, Eq)]
pub enum StandardLibrary {
    /// Installed with the compiler.
    Installed,
    /// To be compiled from this source.
    Compiled { library: PathBuf },
}

/// The compiler that cargo uses.
pub struct Rustc {
    pub sysroot: PathBuf,
    pub release: String,
    pub commit: String,
}

impl Rustc {
    /// Asks the compiler.
    pub fn ask() -> Result<Self> {
        let ask = |args: &[&str]| -> Result<String> {
            let output = Command::new("rustc").args(args).output().context("cannot start rustc")?;
            ensure!(output.status.success(), "`rustc {}` ended with {}", args.join(" "), output.status);
            Ok(String::from_utf8(output.stdout)?)
        };
        let version = ask(&["--version", "--verbose"])?;
        let field = |name: &str| {
            let found = version.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            found.map(str::to_owned).with_context(|| format!("rustc does not tell its {name}"))
        };
        Ok(Self {
            sysroot: PathBuf::from(ask(&["--print", "sysroot"])?.trim()),
            release: field("release")?,
            commit: field("commit-hash")?,
        })
    }

    /// Where rustup puts the standard library's source.
    pub fn source(&self) -> PathBuf {
        self.sysroot.join(SOURCE)
    }

    fn has(&self, architecture: Architecture) -> bool {
        let libraries = fs::read_dir(self.sysroot.join("lib/rustlib").join(architecture.triple()).join("lib"));
        libraries.is_ok_and(|mut libraries| libraries.next().is_some())
    }
}

/// The standard library of an architecture: installed, unless it is to be compiled at any rate. Downloads the source if need be.
pub fn of(architecture: Architecture, rustc: &Rustc, compile: bool) -> Result<StandardLibrary> {
    if !compile && rustc.has(architecture) {
        return Ok(StandardLibrary::Installed);
    }
    let rustups = rustc.source().join("library");
    let library = if is_source(&rustups) { Ok(rustups) } else { debians(rustc) };
    let library = library.map_err(|error| {
        let triple = architecture.triple();
        anyhow!(
            "Rust's standard library for {triple} is not installed, and its source cannot be had from Debian ({error:#}). \
             Run `rustup target add {triple}`."
        )
    })?;
    Ok(StandardLibrary::Compiled { library })
}

fn debians(rustc: &Rustc) -> Result<PathBuf> {
    ensure!(rustc.release == RELEASE, "the compiler is {}, and only the source of {RELEASE} is known", rustc.release);
    let library = debian::unpacked(&[DEBIAN])?.join(DEBIAN.members[0]);
    ensure!(is_source(&library), "there is no source in {}", library.display());
    Ok(library)
}

fn is_source(library: &Path) -> bool {
    library.join("Cargo.lock").is_file()
}

/// Makes a sysroot of links to the compiler's own and to the source, and returns the compiler that uses it: a script in it, which
/// is written last. What is there already is kept.
pub fn sysroot_with(library: &Path, rustc: &Rustc, dir: &Path) -> Result<PathBuf> {
    let script = dir.join("rustc");
    let compiler = rustc.sysroot.join("bin/rustc");
    let lines = format!(
        "#!/bin/sh\n# The source is in {}.\nexec '{}' --sysroot '{}' \"$@\"\n",
        library.display(),
        compiler.display(),
        dir.display()
    );
    if fs::read_to_string(&script).is_ok_and(|written| written == lines) {
        return Ok(script);
    }
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    let source = dir.join(SOURCE);
    fs::create_dir_all(&source)?;
    symlink(library, source.join("library"))?;
    for entry in fs::read_dir(rustc.sysroot.join("lib/rustlib"))? {
        let entry = entry?;
        if entry.file_name() != "src" {
            symlink(entry.path(), dir.join("lib/rustlib").join(entry.file_name()))?;
        }
    }
    fs::write(&script, lines)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::root;

    #[test]
    fn the_source_is_that_of_the_compiler() {
        let toolchain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
        assert!(toolchain.contains(&format!("channel = \"{RELEASE}\"")), "{toolchain}");
        let (version, _) = DEBIAN.pinned.unwrap();
        assert!(version.starts_with(&format!("{RELEASE}+")) && DEBIAN.members[0].contains(RELEASE));
    }
}

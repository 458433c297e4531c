//! Builds programs for either architecture, with the same bytes wherever the folders are.
//!
//! The linker and the C compiler are zig's, which has the C libraries of old Linux versions. cargo-zigbuild makes cargo and
//! the build scripts use them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::architecture::Architecture;
use super::standard_library::{self, Rustc, StandardLibrary};
use crate::python::{PythonEnv, python_env};
use crate::workspace::{command_that_builds, root, run, target_dir};

/// The files of a package by their names.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The C library that programs are linked against: the oldest that Rust supports. So `thaw` runs on any Linux of these
/// years, and Lambda's C library is newer for certain.
const GLIBC: &str = "2.17";

/// What parts of paths are called in programs, whatever they are called here.
const SOURCE: &str = "/thaw";
const CRATES: &str = "/crates";

/// The time that build scripts are told, if any asks: 1980-01-01, the time of the files in the zips.
const EPOCH: &str = "315532800";

/// A folder with the workspace's files, and where cargo works for it.
pub struct Folder {
    pub source: PathBuf,
    pub target: PathBuf,
    /// cargo's home, in which the sources of crates are.
    pub cargo_home: PathBuf,
}

impl Folder {
    /// This workspace.
    pub fn here() -> Result<Self> {
        let home = match std::env::var_os("CARGO_HOME") {
            Some(home) => PathBuf::from(home),
            None => std::env::home_dir().context("CARGO_HOME and HOME are not set")?.join(".cargo"),
        };
        Ok(Self { source: root(), target: target_dir(), cargo_home: home })
    }

    /// Where a program is, once it is built.
    pub fn program(&self, architecture: Architecture, profile: Profile, program: &str) -> PathBuf {
        self.target.join(architecture.triple()).join(profile.folder()).join(program)
    }

    /// The sysroot with the standard library's source, where that is compiled. It is in the workspace, wherever cargo works: of a
    /// crate outside of it, cargo hashes the whole path into names.
    fn sysroot(&self) -> PathBuf {
        self.source.join("target/sysroot")
    }
}

/// Something that is in a program and no crate.
pub struct Other {
    pub name: &'static str,
    pub version: String,
    /// An SPDX expression.
    pub license: &'static str,
    /// A package URL.
    pub purl: String,
    /// The file with the license's text.
    pub text: PathBuf,
}

/// The tools, ready to build.
pub struct Builder {
    python: PythonEnv,
    rustc: Rustc,
    /// Compile the standard library also where it is installed.
    compile_std: bool,
}

/// What cargo builds with.
#[derive(Clone, Copy)]
pub enum Profile {
    Release,
    /// As fast as can be, without debug information: shows that the tools work together.
    Dev,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "dev",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "debug",
        }
    }
}

impl Builder {
    /// Installs the tools under the target directory, if they are not there.
    pub fn new(compile_std: bool) -> Result<Self> {
        let python = python_env("cross-python", &root().join("xtask/python/cross.lock"))?;
        Ok(Self { python, rustc: Rustc::ask()?, compile_std })
    }

    /// Builds a program of a package, with cargo's progress shown.
    pub fn build(
        &self,
        folder: &Folder,
        architecture: Architecture,
        profile: Profile,
        (package, program): (&str, &str),
    ) -> Result<PathBuf> {
        let triple = architecture.triple();
        let library = standard_library::of(architecture, &self.rustc, self.compile_std)?;
        let mut build = command_that_builds(&self.python.program("cargo-zigbuild"));
        build.args(["zigbuild", "--locked", "--package", package, "--bin", program]);
        build.args(["--target", &format!("{triple}.{GLIBC}")]);
        build.args(["--profile", profile.name()]);
        for (name, _) in std::env::vars_os() {
            if changes_builds(&name.to_string_lossy()) {
                build.env_remove(name);
            }
        }
        let caches = target_dir().join("zig");
        build
            .current_dir(&folder.source)
            .env("CARGO_HOME", &folder.cargo_home)
            .env("CARGO_TARGET_DIR", &folder.target)
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags(folder, &library)?)
            .env("CARGO_INCREMENTAL", "0")
            .env("SOURCE_DATE_EPOCH", EPOCH)
            .env("CARGO_ZIGBUILD_PYTHON_PATH", self.python.program("python"))
            .env("CARGO_ZIGBUILD_CACHE_DIR", caches.join("wrappers"))
            .env("ZIG_GLOBAL_CACHE_DIR", caches.join("global"))
            .env("ZIG_LOCAL_CACHE_DIR", caches.join("local"));
        if matches!(profile, Profile::Dev) {
            // rustc renames the folders in its debug information, and C compilers do not.
            build.env("CARGO_PROFILE_DEV_DEBUG", "none");
        }
        if let StandardLibrary::Compiled { library } = &library {
            println!("compiling Rust's standard library for {triple} from {}", library.display());
            build.env("RUSTC", standard_library::sysroot_with(library, &self.rustc, &folder.sysroot())?);
            // Only nightly versions can do so, and others that are told to be one. What this one does is known: it is pinned.
            build.arg("-Zbuild-std=std,panic_unwind").env("RUSTC_BOOTSTRAP", "1");
        }
        run(&mut build).with_context(|| format!("cannot build {program} for {triple}"))?;
        Ok(folder.program(architecture, profile, program))
    }

    /// Where the standard texts of licenses are, which come with the compiler.
    pub fn standard_texts(&self) -> PathBuf {
        self.rustc.sysroot.join("share/doc/rust/licenses")
    }

    /// What the compiler and the linker add to a program.
    pub fn others(&self) -> Result<Vec<Other>> {
        let of_rust = self.standard_texts().with_file_name("COPYRIGHT-library.html");
        let mut python = Command::new(self.python.program("python"));
        let output = python.args(["-c", "import ziglang; print(ziglang.__path__[0])"]).output()?;
        let zig = PathBuf::from(String::from_utf8(output.stdout)?.trim());
        let zig_version = zig_version().context("xtask/python/cross.in has no version of ziglang")?;
        Ok(vec![
            Other {
                name: "std",
                version: self.rustc.release.clone(),
                license: "MIT OR Apache-2.0",
                purl: format!("pkg:generic/rust-std@{}", self.rustc.release),
                text: of_rust,
            },
            Other {
                name: "compiler-rt of zig",
                version: zig_version.to_owned(),
                license: "MIT",
                purl: format!("pkg:pypi/ziglang@{zig_version}#lib/compiler_rt"),
                text: zig.join("LICENSE"),
            },
            Other {
                name: "libunwind of zig",
                version: zig_version.to_owned(),
                license: "Apache-2.0 WITH LLVM-exception",
                purl: format!("pkg:pypi/ziglang@{zig_version}#lib/libunwind"),
                text: zig.join("lib/libunwind/LICENSE.TXT"),
            },
        ])
    }

    /// rustc's flags: what paths in messages of panics are called.
    fn flags(&self, folder: &Folder, library: &StandardLibrary) -> Result<OsString> {
        let mut renamed = vec![(folder.source.clone(), SOURCE.to_owned())];
        let crates = folder.cargo_home.join("registry/src");
        // One folder for each registry, named by its address; xtask's own crates are there already.
        for registry in fs::read_dir(&crates).with_context(|| format!("cannot read {}", crates.display()))? {
            renamed.push((registry?.path(), CRATES.to_owned()));
        }
        // As in rustup's compiled standard library.
        let standard = format!("/rustc/{}", self.rustc.commit);
        renamed.push((self.rustc.source(), standard.clone()));
        if let StandardLibrary::Compiled { .. } = library {
            let source = folder.sysroot().join(standard_library::SOURCE);
            // cargo gives rustc the paths in a workspace relative to it.
            let relative = source.strip_prefix(&folder.source).context("the sysroot is in the workspace")?;
            renamed.push((relative.to_owned(), standard.clone()));
            renamed.push((source, standard));
        }
        let mut flags = OsString::new();
        for (path, name) in renamed {
            if !flags.is_empty() {
                flags.push("\u{1f}");
            }
            flags.push("--remap-path-prefix=");
            flags.push(path);
            flags.push(format!("={name}"));
        }
        Ok(flags)
    }
}

/// The version of zig that the requirements name.
fn zig_version() -> Option<&'static str> {
    include_str!("../../python/cross.in").lines().find_map(|line| line.strip_prefix("ziglang=="))
}

/// Whether an environment variable would make another program of the same source.
fn changes_builds(name: &str) -> bool {
    const NAMES: [&str; 6] = ["AR", "CC", "CFLAGS", "CPPFLAGS", "CXXFLAGS", "LDFLAGS"];
    const PREFIXES: [&str; 12] = [
        "AR_",
        "BINDGEN_",
        "CARGO_BUILD_",
        "CARGO_ENCODED_",
        "CARGO_PROFILE_",
        "CARGO_TARGET_",
        "CC_",
        "CFLAGS_",
        "HOST_",
        "RUSTFLAGS",
        "RUSTC",
        "TARGET_",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

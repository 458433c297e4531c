//! Python environments of exactly the locked packages, under the target directory.
//!
//! An environment is made once and kept until its lock file changes. Every package is installed from a wheel whose
//! hash the lock names, so nothing is built and nothing can be swapped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::sign::sha256_hex;
use crate::workspace::{on_path, run, target_dir};

/// The oldest Python that the lock files cover: schemathesis needs it.
const OLDEST_PYTHON: (u32, u32) = (3, 11);

/// An environment in which programs can be run.
pub struct PythonEnv {
    bin: PathBuf,
}

impl PythonEnv {
    /// The path of a program of this environment, `python` included.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// The environment `target/<name>` of the packages that `lock_file` names; made or renewed when needed.
pub fn python_env(name: &str, lock_file: &Path) -> Result<PythonEnv> {
    let lock = fs::read(lock_file).with_context(|| format!("cannot read {}", lock_file.display()))?;
    let dir = target_dir().join(name);
    fs::create_dir_all(target_dir())?;
    // Another command may be making the same environment right now; the lock ends with this function.
    let one_at_a_time = File::create(target_dir().join(format!("{name}.lock")))?;
    one_at_a_time.lock()?;
    let env = PythonEnv { bin: dir.join("bin") };
    let stamp = dir.join("lock.sha256");
    let wanted = sha256_hex(&lock);
    if fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == wanted) && env.program("python").exists() {
        return Ok(env);
    }

    let python = find_python()?;
    println!("installing the Python packages of {} (once)", lock_file.display());
    // Half an environment from an interrupted install has no stamp; start afresh.
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    run(Command::new(&python).args(["-m", "venv"]).arg(&dir))
        .context("Python cannot make a virtual environment; on Debian its package is python3-venv")?;
    run(Command::new(env.program("python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--require-hashes", "--only-binary", ":all:", "--requirement"])
        .arg(lock_file))?;
    fs::write(&stamp, wanted)?;
    Ok(env)
}

fn find_python() -> Result<PathBuf> {
    let Some(python) = on_path("python3") else {
        bail!("python3 is not on PATH; the local stack needs Python {}.{} or later", OLDEST_PYTHON.0, OLDEST_PYTHON.1);
    };
    let output = Command::new(&python)
        .args(["-c", "import sys; print(sys.version_info[0], sys.version_info[1])"])
        .output()
        .with_context(|| format!("cannot start {}", python.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        bail!("{} does not tell its version", python.display());
    };
    if (major, minor) < OLDEST_PYTHON {
        bail!(
            "{} is Python {major}.{minor}; the local stack needs {}.{} or later",
            python.display(),
            OLDEST_PYTHON.0,
            OLDEST_PYTHON.1
        );
    }
    Ok(python)
}

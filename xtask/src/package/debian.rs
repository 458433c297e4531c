//! Files of Debian packages under the target directory. Nothing is installed, and nobody needs to be root.
//!
//! apt checks what it downloads by Debian's signature. Its lists are kept apart from the machine's own, whose mirror it uses.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::sign::sha256_hex;
use crate::workspace::{on_path, run, target_dir};

/// The release whose packages are used, whatever this machine runs: its QEMU needs no libraries.
const SUITES: [&str; 2] = ["trixie", "trixie-backports"];

/// What signs Debian's releases.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Some files of a package.
pub struct Package<'a> {
    pub name: &'a str,
    /// The only version that will do, and the SHA-256 of its file.
    pub pinned: Option<(&'a str, &'a str)>,
    /// The files and folders that are unpacked.
    pub members: &'a [&'a str],
}

impl Package<'_> {
    /// As apt is asked for it.
    fn wanted(&self) -> String {
        match self.pinned {
            Some((version, _)) => format!("{}={version}", self.name),
            None => self.name.to_owned(),
        }
    }
}

/// The folder with the files of packages, downloaded once. Fails where there is no apt, or no mirror of Debian in its sources
/// has the packages.
pub fn unpacked(packages: &[Package]) -> Result<PathBuf> {
    let names: Vec<String> = packages.iter().map(Package::wanted).collect();
    let dir = target_dir().join("debian");
    fs::create_dir_all(&dir)?;
    // Another command may be downloading the same right now; the lock ends with this function.
    let one_at_a_time = File::create(dir.join("lock"))?;
    one_at_a_time.lock()?;
    let files = dir.join(names.join(",").replace('=', "_"));
    if files.exists() {
        return Ok(files);
    }
    for program in ["apt-get", "dpkg-deb", "tar"] {
        ensure!(on_path(program).is_some(), "{program} is not on PATH");
    }
    ensure!(Path::new(KEYRING).exists(), "{KEYRING} is missing; the package debian-archive-keyring has it");
    println!("downloading {} from Debian (once)", names.join(" and "));
    let apt = Apt::with_lists_in(&dir)?;
    // Half of it from an interrupted run has another name.
    let half = dir.join("half");
    if half.exists() {
        fs::remove_dir_all(&half)?;
    }
    fs::create_dir_all(&half)?;
    for package in packages {
        unpack(&apt.download(package)?, package, &half)?;
    }
    fs::rename(&half, &files)?;
    Ok(files)
}

/// apt with sources and lists of its own.
struct Apt {
    dir: PathBuf,
}

impl Apt {
    /// Takes the first mirror in the machine's sources that has the suites.
    fn with_lists_in(dir: &Path) -> Result<Self> {
        let apt = Self { dir: dir.to_owned() };
        for folder in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        for mirror in mirrors()? {
            let lines = SUITES.map(|suite| format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n"));
            fs::write(dir.join("sources.list"), lines.concat())?;
            if apt.get(&["update", "--error-on=any"]).status()?.success() {
                return Ok(apt);
            }
        }
        bail!("no mirror in this machine's apt sources has Debian's {}", SUITES.join(" and "))
    }

    fn get(&self, args: &[&str]) -> Command {
        let mut command = Command::new("apt-get");
        command.current_dir(&self.dir).arg("--quiet=2");
        let folder = |name: &str| self.dir.join(name).display().to_string();
        for (option, value) in [
            ("Dir::State", folder("state")),
            ("Dir::State::status", String::from("/dev/null")),
            ("Dir::Cache", folder("cache")),
            ("Dir::Etc::SourceList", folder("sources.list")),
            ("Dir::Etc::SourceParts", String::from("/dev/null")),
            ("Acquire::Languages", String::from("none")),
            ("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", String::from("false")),
            ("Acquire::http::Timeout", String::from("30")),
            ("Acquire::https::Timeout", String::from("30")),
            ("APT::Sandbox::User", String::from("root")),
        ] {
            command.args(["-o", &format!("{option}={value}")]);
        }
        command.args(args);
        command
    }

    /// Downloads the file of a package.
    fn download(&self, package: &Package) -> Result<PathBuf> {
        let files = self.dir.join("files");
        if files.exists() {
            fs::remove_dir_all(&files)?;
        }
        fs::create_dir_all(&files)?;
        run(self.get(&["download", &package.wanted()]).current_dir(&files))?;
        let file = fs::read_dir(&files)?.next().context("apt-get has downloaded nothing")??.path();
        if let Some((_, wanted)) = package.pinned {
            let found = sha256_hex(&fs::read(&file)?);
            ensure!(found == wanted, "{} has the SHA-256 {found}, and not {wanted}", file.display());
        }
        Ok(file)
    }
}

/// The mirrors of Debian in the machine's own sources.
fn mirrors() -> Result<Vec<String>> {
    let output = Command::new("apt-get")
        .args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"])
        .output()
        .context("cannot start apt-get")?;
    ensure!(output.status.success(), "apt-get does not tell its sources: {}", String::from_utf8_lossy(&output.stderr));
    let mut mirrors: Vec<String> = Vec::new();
    for uri in String::from_utf8(output.stdout)?.lines().filter(|uri| uri.ends_with("/debian/")) {
        if !mirrors.iter().any(|known| known == uri) {
            mirrors.push(uri.to_owned());
        }
    }
    Ok(mirrors)
}

fn unpack(file: &Path, package: &Package, to: &Path) -> Result<()> {
    let mut archive = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(file)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start dpkg-deb")?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--directory").arg(to).args(package.members.iter().map(|member| format!("./{member}")));
    let unpacked = run(tar.stdin(archive.stdout.take().context("stdout is piped")?));
    archive.wait()?;
    unpacked.with_context(|| format!("{} has no {}", file.display(), package.members.join(" and ")))
}

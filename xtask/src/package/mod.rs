//! `cargo xtask package`: everything that a deployment to AWS needs, for both architectures, in one folder that can be handed on.

mod architecture;
mod build;
mod crates;
mod debian;
mod elf;
mod instructions;
mod licenses;
mod sbom;
mod second_folder;
mod standard_library;
mod trial;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::architecture::Architecture;
use self::build::{Builder, Files, Folder, Profile};
use self::crates::Crates;
use self::elf::Glibc;
use crate::lambda_zip::{Compression, Mode, lambda_zip, zipped};
use crate::release::Release;
use crate::sign::sha256_hex;
use crate::workspace::{cargo, run as run_command, target_dir};

/// What `package` can be told.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    /// Build everything a second time, in another folder, and compare every byte
    #[arg(long)]
    check: bool,
    /// Compile Rust's standard library, too, as is done where it is not installed for an architecture
    #[arg(long)]
    compile_std: bool,
}

/// The C library of the `provided.al2023` runtime (Amazon Linux 2023 User Guide, "glibc, gcc, and binutils").
const RUNTIME_GLIBC: Glibc = Glibc(2, 34);

/// The package and the program of all functions, and those of the command.
const FUNCTION: (&str, &str) = ("thaw-bootstrap", "bootstrap");
const COMMAND: (&str, &str) = ("thaw-cli", "thaw");

/// The module for Terraform, which deploys the package around its folder.
const TERRAFORM: [&str; 3] = ["main.tf", "outputs.tf", "variables.tf"];

/// Builds, checks and runs the programs, and writes the package.
pub fn run(options: &Options) -> Result<()> {
    let builder = Builder::new(options.compile_std)?;
    let here = Folder::here()?;
    let (release, files) = make(&builder, &here)?;
    let folder = target_dir().join("package");
    write(&folder, &release, &files)?;
    for architecture in Architecture::ALL {
        trial::run_function(&here.program(architecture, Profile::Release, FUNCTION.1), architecture)?;
    }
    if options.check {
        let (_, again) = second_folder::with_copy(&here, |second| make(&builder, second))?;
        second_folder::compare(&files, &again)?;
        println!("a second build in another folder made the same {} files, byte for byte", files.len());
    }
    println!("\nTo deploy it, in {}:\n\n{}", folder.display(), instructions::commands(&release));
    Ok(())
}

/// The check of `cargo xtask test`: the functions' program for the architecture that this machine has not, built as fast as
/// can be, with what Lambda has, and run.
pub fn test() -> Result<()> {
    let architecture = Architecture::here().other();
    let (builder, here) = (Builder::new(false)?, Folder::here()?);
    let program = builder.build(&here, architecture, Profile::Dev, FUNCTION)?;
    println!("{}", checked(&program, architecture, &here)?);
    let has_run = trial::run_function(&program, architecture)?;
    ensure!(has_run || std::env::var_os("CI").is_none(), "CI never skips this check");
    Ok(())
}

/// Writes the package into its folder, and all of it into one zip beside that.
fn write(folder: &Path, release: &Release, files: &Files) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder)?;
    println!("{}:", folder.display());
    for (name, content) in files {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().context("a file is in a folder")?)?;
        fs::write(&file, content)?;
        #[cfg(unix)]
        if mode(name) == Mode::Program {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        }
        println!("  {name:<36} {:>8.1} kB", kilobytes(content));
    }
    let in_zip =
        files.iter().map(|(name, content)| (format!("thaw-{}/{name}", release.id), content.as_slice(), mode(name)));
    let zip = zipped(in_zip, Compression::Deflate)?;
    let file = folder.with_extension("zip");
    fs::write(&file, &zip)?;
    println!("{}: {:.1} kB, all of it", file.display(), kilobytes(&zip));
    Ok(())
}

fn mode(name: &str) -> Mode {
    if name == COMMAND.1 { Mode::Program } else { Mode::Data }
}

/// Builds everything in a folder.
fn make(builder: &Builder, folder: &Folder) -> Result<(Release, Files)> {
    let mut zips = Vec::new();
    for architecture in Architecture::ALL {
        let program = builder.build(folder, architecture, Profile::Release, FUNCTION)?;
        println!("{}", checked(&program, architecture, folder)?);
        zips.push((architecture.name(), lambda_zip(&program, Compression::Deflate)?));
    }
    let command = command(builder, folder)?;
    let read = |name: &str| fs::read(folder.source.join(name)).with_context(|| format!("cannot read {name}"));
    let template = String::from_utf8(read("infra/template.yaml")?)?;
    let release = Release::of(zips, read("statemachine/thaw.asl.json")?, &template)?;
    let crates = Crates::of(folder, &[FUNCTION.0, COMMAND.0])?;
    let others = builder.others()?;

    let mut files: Files = release.files.iter().cloned().collect();
    let mut add = |name: &str, content: Vec<u8>| files.insert(name.to_owned(), content);
    add(COMMAND.1, fs::read(&command).with_context(|| format!("cannot read {}", command.display()))?);
    for file in TERRAFORM {
        add(&format!("terraform/{file}"), read(&format!("infra/terraform/{file}"))?);
    }
    add("README.txt", instructions::readme(&release).into_bytes());
    add("LICENSE.txt", read("LICENSE")?);
    add("THIRD-PARTY-LICENSES.txt", licenses::texts(&crates, &others, &builder.standard_texts())?.into_bytes());
    let sbom = sbom::cyclonedx(&release.id, &crates, &others);
    add("sbom.cdx.json", (serde_json::to_string_pretty(&sbom)? + "\n").into_bytes());
    let sums: String = files.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256_hex(bytes))).collect();
    files.insert(String::from("SHA256SUMS"), sums.into_bytes());
    Ok((release, files))
}

/// The command for this machine. On Linux it runs on any other Linux of this architecture.
fn command(builder: &Builder, folder: &Folder) -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return builder.build(folder, Architecture::here(), Profile::Release, COMMAND);
    }
    let mut build = cargo(&["build", "--release", "--locked", "--package", COMMAND.0]);
    run_command(build.current_dir(&folder.source).env("CARGO_TARGET_DIR", &folder.target))?;
    Ok(folder.target.join("release").join(COMMAND.1))
}

/// Checks that Lambda can run a program, and that it names no folder of this machine; says what it needs.
fn checked(program: &Path, architecture: Architecture, folder: &Folder) -> Result<String> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    for folder in [&folder.source, &folder.target, &folder.cargo_home] {
        ensure!(
            !text.contains(&*folder.to_string_lossy()),
            "{} names the folder {}: built elsewhere, it would be another program",
            program.display(),
            folder.display()
        );
    }
    let needs = elf::needs(&bytes).with_context(|| format!("cannot read what {} needs", program.display()))?;
    elf::check(&needs, architecture, RUNTIME_GLIBC)?;
    let Glibc(major, minor) = needs.glibc;
    let (Glibc(runtime_major, runtime_minor), name) = (RUNTIME_GLIBC, architecture.name());
    Ok(format!(
        "{name}: {:.1} kB, needs glibc {major}.{minor} (Lambda has {runtime_major}.{runtime_minor}), {}",
        kilobytes(&bytes),
        needs.libraries.into_iter().collect::<Vec<_>>().join(", ")
    ))
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn kilobytes(bytes: &[u8]) -> f64 {
    bytes.len() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::root;

    #[test]
    fn the_terraform_module_is_packed_whole_and_uploads_all_files_of_a_release() {
        let folder = root().join("infra/terraform");
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, TERRAFORM);

        let main = fs::read_to_string(folder.join("main.tf")).unwrap();
        let uploaded = main.split_once("for_each = toset([").unwrap().1.split_once("])").unwrap().0;
        let zips = Architecture::ALL.map(|architecture| (architecture.name(), Vec::new())).to_vec();
        let release = Release::of(zips, Vec::new(), "").unwrap();
        let mut files: Vec<_> = release.files.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        files.sort();
        assert_eq!(uploaded, files.join(", "));
        assert!(main.contains("key    = \"thaw/${local.release}/${each.value}\""));
        assert_eq!(release.prefix(), format!("thaw/{}/", release.id));
    }
}

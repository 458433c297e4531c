//! `cargo xtask package`: what a deployment to AWS needs, and the commands that deploy it.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::lambda_zip::{ARCHITECTURE, Compression, lambda_zip};
use crate::release::Release;
use crate::workspace::{cargo, root, run as run_command, target_dir};

/// The C library of the `provided.al2023` runtime (Amazon Linux 2023 User Guide, "glibc, gcc, and binutils").
const RUNTIME_GLIBC: u32 = 34;

/// Builds for release, zips, copies workflow and template, and says what to do with them.
pub fn run() -> Result<()> {
    run_command(&mut cargo(&["build", "--release", "--package", "thaw-bootstrap"]))?;
    let program = target_dir().join("release/bootstrap");
    let bytes = fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
    let needed = newest_glibc(&bytes);
    ensure!(
        needed <= RUNTIME_GLIBC,
        "the program needs glibc 2.{needed}, but Lambda's provided.al2023 has 2.{RUNTIME_GLIBC}: \
         build on an older Linux, for example in a container of Debian 12 or Amazon Linux 2023"
    );

    let folder = target_dir().join("package");
    fs::create_dir_all(&folder)?;
    let zip = lambda_zip(&program, Compression::Deflate)?;
    let workflow = fs::read(root().join("statemachine/thaw.asl.json")).context("cannot read the workflow")?;
    let template = fs::read_to_string(root().join("infra/template.yaml")).context("cannot read the template")?;
    let release = Release::for_this_machine(zip, workflow, &template)?;
    println!("{} ({ARCHITECTURE}):", folder.display());
    println!("  {:<16} {:>8.1} kB", "(bootstrap)", kilobytes(&bytes));
    for (name, content) in &release.files {
        fs::write(folder.join(name), content)?;
        println!("  {name:<16} {:>8.1} kB", kilobytes(content));
    }
    println!(
        "
To deploy, with CODE_BUCKET a bucket of yours in the Region, ARCHIVE_BUCKETS and DISTRIBUTION_IDS yours too:

  aws s3 cp --recursive {folder} s3://$CODE_BUCKET/{prefix}
  aws cloudformation deploy --stack-name thaw --template-file {folder}/template.yaml --s3-bucket $CODE_BUCKET \\
    --capabilities CAPABILITY_IAM --parameter-overrides CodeBucket=$CODE_BUCKET Architecture={ARCHITECTURE} \\
    ArchiveBuckets=$ARCHIVE_BUCKETS DistributionIds=$DISTRIBUTION_IDS",
        folder = folder.display(),
        prefix = release.prefix(),
    );
    Ok(())
}

/// The minor version of the newest `GLIBC_2.x` that the program names; 0 if it names none.
fn newest_glibc(program: &[u8]) -> u32 {
    const NAME: &[u8] = b"GLIBC_2.";
    program
        .windows(NAME.len() + 2)
        .filter(|window| window.starts_with(NAME))
        .map(|window| window[NAME.len()..].iter().take_while(|byte| byte.is_ascii_digit()))
        .map(|digits| digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
        .max()
        .unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn kilobytes(bytes: &[u8]) -> f64 {
    bytes.len() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_symbol_version_counts() {
        assert_eq!(newest_glibc(b"..GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.17\0"), 34);
        assert_eq!(newest_glibc(b"static"), 0);
    }
}

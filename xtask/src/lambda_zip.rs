//! Zip files: the one that Lambda gets, with one `bootstrap`, and a package in one file. Always the same bytes for the same
//! content.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::workspace::on_path;

/// This machine's architecture, as Lambda names it: what we build runs on it.
pub const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };

/// Whether time or size matters.
#[derive(Clone, Copy)]
pub enum Compression {
    /// For the local stack: no time lost.
    Store,
    /// For AWS: a smaller upload.
    Deflate,
}

/// Whether a file of a zip can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Data,
    Program,
}

/// Zips the program as Lambda's `bootstrap`.
pub fn lambda_zip(program: &Path, compression: Compression) -> Result<Vec<u8>> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    zipped([("bootstrap", bytes.as_slice(), Mode::Program)], compression)
}

/// Zips files, with a fixed date, in this order.
pub fn zipped<'a, N: Into<String>>(
    files: impl IntoIterator<Item = (N, &'a [u8], Mode)>,
    compression: Compression,
) -> Result<Vec<u8>> {
    let method = match compression {
        Compression::Store => CompressionMethod::Stored,
        Compression::Deflate => CompressionMethod::Deflated,
    };
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes, mode) in files {
        let permissions = match mode {
            Mode::Data => 0o644,
            Mode::Program => 0o755,
        };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .last_modified_time(DateTime::default())
            .unix_permissions(permissions);
        zip.start_file(name.into(), options)?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// A copy without symbols, which is a tenth of the size; the program itself where there is no `strip`.
pub fn stripped(program: &Path, copy: &Path) -> Result<PathBuf> {
    let Some(strip) = on_path("strip") else { return Ok(program.to_path_buf()) };
    let status = Command::new(strip).arg("-o").arg(copy).arg(program).status().context("cannot start strip")?;
    Ok(if status.success() { copy.to_path_buf() } else { program.to_path_buf() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_program_gives_the_same_bytes() {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert_eq!(
            lambda_zip(&program, Compression::Deflate).unwrap(),
            lambda_zip(&program, Compression::Deflate).unwrap()
        );
    }
}

//! The zip file that Lambda gets: one `bootstrap`, always the same bytes for the same program.

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

/// Zips the program as Lambda's `bootstrap`: fixed date, executable by all.
pub fn lambda_zip(program: &Path, compression: Compression) -> Result<Vec<u8>> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let method = match compression {
        Compression::Store => CompressionMethod::Stored,
        Compression::Deflate => CompressionMethod::Deflated,
    };
    let options = SimpleFileOptions::default()
        .compression_method(method)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o755);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("bootstrap", options)?;
    zip.write_all(&bytes)?;
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

//! What Linux tells of a process that measures itself.

use anyhow::{Context, Result};

/// A line of what Linux tells of this process's memory, in MB.
pub fn memory(line: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kilobytes = status.lines().find_map(|found| found.strip_prefix(line)).context("no such line")?;
    Ok(kilobytes.trim().trim_end_matches(" kB").parse::<f64>()? / 1_024.0)
}

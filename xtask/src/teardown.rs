//! Whatever happens between the first started process and the finished command, nothing is left running.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::down;

/// The folder of the stack that must not survive this command, if any.
static ARMED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Takes the stack down when dropped, and when the command is interrupted.
#[must_use = "it takes the stack down when dropped"]
pub struct Teardown;

impl Teardown {
    /// From here on the stack in this folder ends with the command, however that ends.
    pub fn arm(dir: &Path) -> Result<Self> {
        *lock() = Some(dir.to_path_buf());
        let watched = ctrlc::set_handler(|| {
            // Held until the end: the command, which now fails for want of a stack, waits here and says nothing more.
            let mut armed = lock();
            eprintln!("\ninterrupted: taking the local stack down");
            stop(&mut armed);
            // The shell's convention for a command that a signal ended.
            std::process::exit(130);
        });
        match watched {
            // A command may boot one stack after the other; the handler stays.
            Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(Self),
            Err(error) => Err(error).context("cannot watch for Ctrl-C"),
        }
    }

    /// Lets the stack live on.
    pub fn disarm(self) {
        *lock() = None;
    }
}

impl Drop for Teardown {
    fn drop(&mut self) {
        stop(&mut lock());
    }
}

fn stop(armed: &mut Option<PathBuf>) {
    let Some(dir) = armed.take() else { return };
    if let Err(error) = down::stop(&dir) {
        eprintln!("could not take the local stack down: {error:#}");
    }
}

fn lock() -> std::sync::MutexGuard<'static, Option<PathBuf>> {
    ARMED.lock().unwrap_or_else(PoisonError::into_inner)
}

//! What the caller sees beside the data: progress, questions, warnings. All of it on stderr.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{Color, Global};
use crate::error::Error;

/// Set by Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The terminal, or what stands in its place.
#[derive(Debug)]
pub struct Terminal {
    quiet: bool,
    verbose: bool,
    yes: bool,
    asks: bool,
    draws: bool,
    colors: bool,
}

impl Terminal {
    /// As the caller said, and as stdin and stderr are.
    pub fn new(global: &Global) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colors = match global.color {
            Color::Auto => is_terminal && !plain,
            Color::Always => true,
            Color::Never => false,
        };
        Self {
            quiet: global.quiet,
            verbose: global.verbose,
            yes: global.yes,
            asks: !global.no_input && io::stdin().is_terminal() && is_terminal,
            draws: is_terminal && !global.quiet && global.color != Color::Never,
            colors,
        }
    }

    /// Says something that is not data.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Says what is called, with `--verbose`.
    pub fn verbose(&self, text: &str) {
        if self.verbose {
            eprintln!("{text}");
        }
    }

    /// Says why a command failed.
    pub fn error(&self, text: &str) {
        let label = if self.colors { "\u{1b}[31merror:\u{1b}[0m" } else { "error:" };
        eprintln!("{label} {text}");
    }

    /// Asks whether to spend money. `--yes` answers it; where nobody can be asked it is refused.
    pub fn confirm(&self, question: &str) -> Result<(), Error> {
        if self.yes {
            return Ok(());
        }
        if !self.asks {
            return Err(Error::Refused(format!(
                "{question} Nobody can be asked here. Nothing was started. Add --yes to agree."
            )));
        }
        eprint!("{question} [y/N] ");
        let _ = io::stderr().flush();
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        match line.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" if read.is_ok() => Ok(()),
            _ => Err(Error::Refused("Nothing was started.".to_owned())),
        }
    }

    /// A line that shows what a restore is doing, on a terminal; nothing elsewhere.
    pub fn progress(&self) -> ProgressBar {
        if !self.draws {
            return ProgressBar::hidden();
        }
        let style =
            ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::new_spinner().with_style(style);
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        bar
    }
}

/// From now on Ctrl-C is noted instead of ending the program.
pub fn note_interrupts() {
    // It fails if a handler is there already: that one does the same.
    let _ = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
}

/// Whether Ctrl-C was pressed.
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

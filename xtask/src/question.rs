//! A question on the terminal before money is spent or something is changed.

use std::io::{self, IsTerminal, Write};

use anyhow::{Result, ensure};

/// Whether a person answers `yes`. Fails where nobody can be asked; `instead` then says which option answers.
pub fn asked(question: &str, instead: &str) -> Result<bool> {
    ensure!(io::stdin().is_terminal(), "nobody can be asked here; {instead}");
    print!("{question} (yes/no) ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

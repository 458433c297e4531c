//! `cargo xtask picture`: what a terminal shows, as a picture for the README.
//!
//! `cargo xtask demo | cargo xtask picture > docs/demo.svg`

use std::fmt::Write as _;
use std::io::{Read, Write as _};

use anyhow::{Context, Result};

/// Height of a line and width of a character, in pixels, of a 13 px monospace font.
const LINE: usize = 18;
const CHARACTER: f64 = 7.83;
const MARGIN: usize = 18;

/// Draws standard input on standard output.
pub fn run() -> Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    std::io::stdout().write_all(draw(&text).as_bytes()).context("cannot write the picture")
}

fn draw(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels")]
    let width = (columns as f64 * CHARACTER).ceil() as usize + 2 * MARGIN;
    let height = lines.len() * LINE + 2 * MARGIN;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="A run of cargo xtask demo">
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="13">
"##
    );
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let y = MARGIN + (index + 1) * LINE - 5;
        let (colour, line) = (colour(line), escaped(line));
        let _ = writeln!(svg, r#"<text x="{MARGIN}" y="{y}" fill="{colour}">{line}</text>"#);
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// Who speaks, by colour; what a viewer gets, by its status.
fn colour(line: &str) -> &'static str {
    let speaker = line.split_whitespace().nth(1).filter(|_| line.starts_with('+'));
    match speaker {
        Some("workflow") => "#8b949e",
        Some("thaw") => "#7ee787",
        Some("S3") => "#79c0ff",
        Some("CloudFront") => "#ffa657",
        _ if line.starts_with("  GET") && line.contains("  200  ") => "#7ee787",
        _ if line.starts_with("  GET") => "#ff7b72",
        _ if line.starts_with("---") => "#30363d",
        _ => "#e6edf3",
    }
}

/// Spaces become ones that no renderer folds.
fn escaped(line: &str) -> String {
    line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(' ', "\u{a0}")
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn every_line_is_drawn_and_nothing_is_markup() {
        let svg = draw("one <b>\n\n+00h01m  S3  a & b\n");
        assert_eq!(svg.matches("<text").count(), 2);
        assert!(
            svg.contains("one\u{a0}&lt;b&gt;") && svg.contains("a\u{a0}&amp;\u{a0}b") && svg.contains("#79c0ff"),
            "{svg}"
        );
    }
}

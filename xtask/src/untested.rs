//! Reads `docs/untested-on-aws.md`: what thaw believes about AWS, and the commands that settle it.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::workspace::root;

/// A statement about AWS that no document settles.
#[derive(Debug)]
pub struct Row {
    /// Its name on the command line.
    pub id: String,
    /// What is believed, in a line.
    pub title: String,
    pub cents: u32,
    pub settled_by: SettledBy,
    /// What its command prints if the belief holds; line ends are blanks.
    pub prints: String,
    pub on_the_local_stack: Emulated,
    /// For bash, with the functions of the page.
    pub command: String,
    /// Undoes what the command made beside objects.
    pub cleanup: String,
}

/// Who runs a row's command.
#[derive(Debug, PartialEq, Eq)]
pub enum SettledBy {
    /// `cargo xtask aws-check`.
    Check,
    /// The same, if it is given a distribution.
    CheckWithDistribution,
    /// Nobody but a person, for this reason.
    Hand(String),
}

/// What a row's command prints on the local stack.
#[derive(Debug, PartialEq, Eq)]
pub enum Emulated {
    /// What is believed of AWS.
    TheSame,
    /// Something else, as the row says why.
    Otherwise(String),
    /// It cannot be run there, for this reason.
    Not(String),
}

/// The page.
#[derive(Debug)]
pub struct Page {
    /// What every command needs: shell functions.
    pub functions: String,
    pub rows: Vec<Row>,
}

const FIELDS: [&str; 7] = ["Believed", "Or else", "Then thaw", "Costs", "Settled by", "Prints", "On the local stack"];

impl Page {
    /// Reads the page; an error names the section and what it lacks.
    pub fn read() -> Result<Self> {
        let file = root().join("docs/untested-on-aws.md");
        Self::parse(&fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut sections = text.split("\n### ");
        let head = sections.next().unwrap_or_default();
        let functions = block(head, "sh functions").context("the page has no block of functions")?.to_owned();
        Ok(Self { functions, rows: sections.map(row).collect::<Result<_>>()? })
    }
}

fn row(section: &str) -> Result<Row> {
    let (heading, body) = section.split_once('\n').unwrap_or((section, ""));
    let (id, title) = heading.split_once(": ").with_context(|| format!("`### {heading}` is not `### id: what`"))?;
    // The last section of a chapter ends where the next chapter begins.
    let body = body.split("\n## ").next().unwrap_or_default();
    let of_row = |what: &str| format!("the row {id} has no {what}");
    let bullets = body.split("```").next().unwrap_or_default();
    let fields: Vec<(&str, String)> = bullets
        .split("\n- **")
        .skip(1)
        .filter_map(|bullet| bullet.split_once(":** "))
        .map(|(name, text)| (name, text.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect();
    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    ensure!(names == FIELDS, "the row {id} has the parts {names:?}, not {FIELDS:?}");
    let field = |at: usize| fields[at].1.as_str();
    ensure!(fields.iter().all(|(_, text)| !text.is_empty()), "the row {id} has an empty part");
    let cents = field(3).trim_end_matches(" cents").trim_end_matches(" cent");
    let command = block(body, "sh").with_context(|| of_row("command"))?.to_owned();
    ensure!((1..=10).contains(&command.lines().count()), "the command of {id} has more than ten lines");
    Ok(Row {
        id: id.to_owned(),
        title: title.to_owned(),
        cents: cents
            .parse()
            .with_context(|| format!("the row {id} costs {:?}, which is no number of cents", field(3)))?,
        settled_by: match field(4).split_once(": ") {
            None if field(4) == "`aws-check`" => SettledBy::Check,
            None if field(4) == "`aws-check` with a distribution" => SettledBy::CheckWithDistribution,
            Some(("hand", why)) => SettledBy::Hand(why.to_owned()),
            Some(_) | None => {
                return Err(anyhow::anyhow!("the row {id} is settled by {:?}, which is nobody", field(4)));
            }
        },
        prints: quoted(field(5)).with_context(|| of_row("`output` in Prints"))?,
        on_the_local_stack: match (field(6), quoted(field(6)), field(6).split_once(": ")) {
            ("the same", _, _) => Emulated::TheSame,
            (_, _, Some(("nothing", why))) => Emulated::Not(why.to_owned()),
            (_, Some(other), Some(_)) => Emulated::Otherwise(other),
            (_, _, _) => return Err(anyhow::anyhow!("{}", of_row("word about the local stack that is known here"))),
        },
        command,
        cleanup: block(body, "sh cleanup").unwrap_or_default().to_owned(),
    })
}

/// What is in a fenced block of this language.
pub fn block<'a>(text: &'a str, language: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("\n```{language}\n"))?;
    Some(after.split("\n```").next().unwrap_or_default())
}

/// What stands between the first two backticks.
fn quoted(text: &str) -> Option<String> {
    let quoted = text.split('`').nth(1)?;
    (!quoted.is_empty()).then(|| quoted.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    /// A row's line in the table of contents. GitHub makes the link's target of the heading.
    fn line(row: &Row) -> String {
        let settled = match &row.settled_by {
            SettledBy::Check => "`aws-check`",
            SettledBy::CheckWithDistribution => "`aws-check`, with a distribution",
            SettledBy::Hand(_) => "hand",
        };
        let heading = format!("{}: {}", row.id, row.title).to_lowercase();
        let kept = heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
        let anchor: String = kept.map(|char| if char == ' ' { '-' } else { char }).collect();
        format!("| [{}](#{anchor}) | {} | {} | {settled} |\n", row.id, row.title, row.cents)
    }

    fn text() -> String {
        fs::read_to_string(root().join("docs/untested-on-aws.md")).unwrap()
    }

    #[test]
    fn every_row_has_its_parts_and_stands_in_the_table() {
        let page = Page::read().unwrap();
        let ids: BTreeSet<_> = page.rows.iter().map(|row| &row.id).collect();
        assert_eq!(ids.len(), page.rows.len(), "an id stands twice");
        let head = "| row | what is believed | cents | settled by |\n|---|---|---|---|\n";
        let table = format!("\n{head}{}\n", page.rows.iter().map(line).collect::<String>());
        assert!(text().contains(&table), "the table of contents is not this:\n{table}");
        for row in &page.rows {
            let plain = row.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            // The id is part of the names of roles and queues.
            assert!(plain && row.id.len() <= 30, "{}", row.id);
            let needs_distribution = ["show ", "get ", "$DISTRIBUTION"].iter().any(|use_| row.command.contains(use_));
            match &row.settled_by {
                SettledBy::Check => assert!(!needs_distribution, "{} needs a distribution", row.id),
                SettledBy::CheckWithDistribution => assert!(needs_distribution, "{} needs no distribution", row.id),
                SettledBy::Hand(why) => assert!(why.len() > 20, "{}: {why}", row.id),
            }
        }
    }

    /// A row that lacks something is an error which names both.
    #[test]
    fn a_row_without_one_of_its_parts_is_refused() {
        let page = text();
        for (whole, broken, error) in [
            (
                "- **Or else:** CloudFront decodes what",
                "- CloudFront decodes what",
                "spellings-of-a-plus has the parts",
            ),
            ("- **Costs:** 50 cents", "- **Costs:** little", "batch-of-100 costs"),
            ("- **Settled by:** `aws-check`\n", "- **Settled by:** time\n", "is settled by"),
            ("- **Prints:** `Hit Miss`", "- **Prints:** a hit", "apostrophe-in-a-path has no `output`"),
            ("```sh\nshow \"it's\"", "```\nshow \"it's\"", "apostrophe-in-a-path has no command"),
            ("show \"it's\"\n", "show \"it's\"\n\n\n\n\n\n\n\n\n", "apostrophe-in-a-path has more than ten"),
        ] {
            assert!(page.contains(whole), "{whole}");
            let refused = Page::parse(&page.replacen(whole, broken, 1)).unwrap_err();
            assert!(refused.to_string().contains(error), "{refused}");
        }
    }

    /// Who writes "not documented" at a decision writes a row, and the row says where that decision is.
    #[test]
    fn whatever_is_called_undocumented_has_a_row() {
        const WORDS: [&str; 4] = ["not documented", "undocumented", "AWS does not say", "not tried on AWS"];
        let page = text();
        let mut left: Vec<PathBuf> =
            ["core", "lambdas", "aws", "sim", "infra", "statemachine", "DESIGN.md", "README.md"]
                .map(|name| root().join(name))
                .into();
        let (mut seen, mut without) = (0, Vec::new());
        while let Some(path) = left.pop() {
            if path.is_dir() {
                left.extend(fs::read_dir(&path).unwrap().map(|inner| inner.unwrap().path()));
            } else if matches!(path.extension().and_then(|kind| kind.to_str()), Some("rs" | "md" | "yaml")) {
                // A comment may break anywhere.
                let text = fs::read_to_string(&path).unwrap().replace("///", " ").replace("//", " ");
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                if WORDS.iter().any(|words| text.contains(words)) {
                    seen += 1;
                    let name = path.strip_prefix(root()).unwrap_or(Path::new("")).to_string_lossy().into_owned();
                    without.extend((!page.contains(&name)).then_some(name));
                }
            }
        }
        assert!(seen >= 5, "or this test reads nothing");
        assert!(without.is_empty(), "docs/untested-on-aws.md has no row that names {without:?}");
    }
}

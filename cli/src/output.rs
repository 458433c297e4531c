//! Data on stdout, in the form that the caller asked for.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;
pub use thaw_core::size;

use crate::args::Form;
use crate::error::Error;

/// One answer: its JSON, and how a person reads it.
pub fn one(form: Form, answer: &Value, text: impl FnOnce() -> Result<String, Error>) -> Result<(), Error> {
    match form {
        Form::Table => print(&text()?),
        Form::Json => print(&format!("{answer:#}\n")),
        Form::Ndjson => print(&format!("{answer}\n")),
        Form::Csv => csv(&answer_columns(answer), std::slice::from_ref(answer)),
    }
}

/// A list: its items' JSON, the columns for programs, and how a person reads it.
pub fn list(
    form: Form,
    items: &[Value],
    columns: &[&str],
    text: impl FnOnce() -> Result<String, Error>,
) -> Result<(), Error> {
    match form {
        Form::Table => print(&text()?),
        Form::Json => print(&format!("{:#}\n", Value::from(items.to_vec()))),
        Form::Ndjson => items.iter().try_for_each(|item| print(&format!("{item}\n"))),
        Form::Csv => csv(&columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>(), items),
    }
}

/// The fields of one answer that fit into a cell.
fn answer_columns(answer: &Value) -> Vec<String> {
    let fields = answer.as_object().into_iter().flatten();
    fields.filter(|(_, value)| !value.is_array() && !value.is_object()).map(|(name, _)| name.clone()).collect()
}

fn csv(columns: &[String], items: &[Value]) -> Result<(), Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let wrong = |error: csv::Error| Error::Failed(format!("The answer cannot be written as CSV: {error}"));
    writer.write_record(columns).map_err(wrong)?;
    for item in items {
        let cells = columns.iter().map(|column| match &item[column.as_str()] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
        });
        writer.write_record(cells).map_err(wrong)?;
    }
    let bytes = writer.into_inner().map_err(|error| Error::Failed(error.to_string()))?;
    print(&String::from_utf8_lossy(&bytes))
}

/// Writes to stdout. A reader that has read enough (`| head`) is no error.
fn print(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Error::Failed(format!("stdout: {error}"))),
    }
}

/// Prints text that is no data of the API: completions, the manual.
pub fn text(text: &str) -> Result<(), Error> {
    print(text)
}

/// A table with a header; columns from `right` on are numbers.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.into_iter().map(|cell| printable(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
        column.set_cell_alignment(CellAlignment::Left);
    }
    let lines = table.to_string();
    lines.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Text that a terminal shows as it is: control characters, which could move the cursor, are escaped.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' => "\n".to_owned(),
            control if control.is_control() => control.escape_default().to_string(),
            other => other.to_string(),
        })
        .collect()
}

/// A time in the caller's zone: `2026-11-29 14:30 CET`.
pub fn time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// Two times, the second without what it has in common with the first.
pub fn times([first, last]: [Timestamp; 2], zone: &TimeZone) -> String {
    let (from, to) = (first.to_zoned(zone.clone()), last.to_zoned(zone.clone()));
    if time(first, zone) == time(last, zone) {
        return time(first, zone);
    }
    let to = if from.date() == to.date() { to.strftime("%H:%M %Z") } else { to.strftime("%Y-%m-%d %H:%M %Z") };
    format!("{} to {to}", from.strftime("%Y-%m-%d %H:%M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_zone_of_the_caller() {
        let zone = TimeZone::posix("CET-1").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(time(at("2026-11-29T13:30:59Z"), &zone), "2026-11-29 14:30 CET");
        for (first, last, text) in [
            ("2026-11-29T13:30:00Z", "2026-11-29T15:30:00Z", "2026-11-29 14:30 to 16:30 CET"),
            ("2026-11-29T13:30:00Z", "2026-11-29T23:30:00Z", "2026-11-29 14:30 to 2026-11-30 00:30 CET"),
            ("2026-11-29T13:30:00Z", "2026-11-29T13:30:30Z", "2026-11-29 14:30 CET"),
        ] {
            assert_eq!(times([at(first), at(last)], &zone), text);
        }
    }

    #[test]
    fn a_hostile_key_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2J\tb\u{7}"), "a\\u{1b}[2J\\tb\\u{7}");
        assert_eq!(table(&["KEY"], [vec!["\u{1b}c".to_owned()]]), "KEY\n\\u{1b}c\n");
    }
}

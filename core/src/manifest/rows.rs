//! What a line of a manifest says.
//!
//! Keys in CSV are decoded as forms are: S3 Inventory writes a blank as `+` and a plus as `%2B`, as S3's listings do with
//! `encoding-type=url` (boto and Cloud Custodian learned it from rows that S3 wrote), and the User Guide's functions for
//! S3 Batch Operations decode with `unquote_plus`. Who wrote `%20` means the same. A plus that is not encoded is against
//! the documents of both.

use std::borrow::Cow;
use std::cell::OnceCell;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::RequestedObject;
use crate::id::NULL_VERSION;
use crate::problem::cut;
use crate::request::{MAX_KEY_BYTES, MAX_VERSION_BYTES};

/// Reads lines of one form, that of the first. What goes wrong is said in words.
#[derive(Debug)]
pub(super) struct Rows {
    /// The bucket that all objects must be in; until one is known, that of the first object that names one.
    bucket: OnceCell<String>,
    /// `None` until there was a line that is not blank.
    form: Option<Form>,
    begun: bool,
}

/// What the lines before a place have told of those after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RowsPlace {
    form: Option<Form>,
    begun: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Form {
    Json,
    Csv(Columns),
}

/// Which field of a row says what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Columns {
    columns: Vec<Column>,
    /// Fields that a row must have; the rest may be missing at its end.
    least: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Column {
    Bucket,
    Key,
    VersionId,
    IsLatest,
    IsDeleteMarker,
    /// Whatever thaw has no use for: the class of an object is asked of S3, because a list is old.
    Other,
}

impl Rows {
    pub(super) fn new(bucket: &str) -> Self {
        Self { bucket: OnceCell::from(bucket.to_owned()), ..Self::of_any_bucket() }
    }

    pub(super) fn of_any_bucket() -> Self {
        Self { bucket: OnceCell::new(), form: None, begun: false }
    }

    /// The bucket of the objects, if it is known.
    pub(super) fn bucket(&self) -> Option<&str> {
        self.bucket.get().map(String::as_str)
    }

    pub(super) fn of_columns(bucket: &str, columns: Columns) -> Self {
        Self { form: Some(Form::Csv(columns)), ..Self::new(bucket) }
    }

    /// Goes on at a place.
    pub(super) fn from(self, place: RowsPlace) -> Self {
        let RowsPlace { form, begun } = place;
        Self { form, begun, ..self }
    }

    /// The place after the last line that was read.
    pub(super) fn place(&self) -> RowsPlace {
        RowsPlace { form: self.form.clone(), begun: self.begun }
    }

    /// The object of a line; `None` if the line is about none.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<Option<RequestedObject>, String> {
        let line = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8. Save the manifest as UTF-8.")?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        let first = !std::mem::replace(&mut self.begun, true);
        let line = if first { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        if line.trim().is_empty() {
            return Ok(None);
        }
        match &self.form {
            Some(Form::Json) => self.read_json(line).map(Some),
            Some(Form::Csv(columns)) => self.read_csv(line, columns),
            None if looks_like_json(line) => {
                self.form = Some(Form::Json);
                self.read_json(line).map(Some)
            }
            None => match self.header(line)? {
                Some(columns) => {
                    self.form = Some(Form::Csv(columns));
                    Ok(None)
                }
                None => {
                    let columns = Columns::of_a_list();
                    let asked = self.read_csv(line, &columns);
                    self.form = Some(Form::Csv(columns));
                    asked
                }
            },
        }
    }

    fn read_json(&self, line: &str) -> Result<RequestedObject, String> {
        let object = match line.trim_start().as_bytes() {
            [b'"', ..] => serde_json::from_str(line).map(|key| Object { bucket: None, key, version_id: None }),
            // A list could be read as a struct, field by field.
            [b'{', ..] => serde_json::from_str(line),
            _ => return Err(format!("{} is not {ROW_OF_JSON}", quoted(line))),
        };
        let Object { bucket, key, version_id } = object.map_err(|why| {
            // It says where in the line, as if that were a file.
            let why = why.to_string();
            let why = why.rsplit_once(" at line ").map_or(&*why, |(why, _)| why);
            format!("{} ({}) is not {ROW_OF_JSON}", quoted(line), cut(why.to_owned()))
        })?;
        if let Some(bucket) = bucket.filter(|bucket| !self.is_ours(bucket)) {
            return Err(self.elsewhere(&key, &bucket));
        }
        if version_id.as_deref() == Some("") {
            return Err("the version_id is empty. Leave it out for the current version.".to_owned());
        }
        asked(key, version_id)
    }

    fn read_csv(&self, line: &str, columns: &Columns) -> Result<Option<RequestedObject>, String> {
        let (mut bucket, mut key, mut version, mut marker) = (Cow::default(), Cow::default(), Cow::default(), false);
        let mut count = 0;
        for field in Fields::of(line) {
            let field = field?;
            match columns.columns.get(count) {
                Some(Column::Bucket) => bucket = field,
                Some(Column::Key) => key = field,
                Some(Column::VersionId) => version = field,
                Some(Column::IsDeleteMarker) => marker = field.eq_ignore_ascii_case("true"),
                // A restore is of what is listed, whether latest or not.
                Some(Column::IsLatest | Column::Other) | None => {}
            }
            count += 1;
        }
        if !(columns.least..=columns.columns.len()).contains(&count) {
            let fields = if count == 1 { "field" } else { "fields" };
            return Err(format!("the line has {count} {fields}. It must have {}.", columns.in_words()));
        }
        if !self.is_ours(&bucket) {
            return Err(self.elsewhere(&key, &bucket));
        }
        if marker {
            return Ok(None);
        }
        for field in [&key, &version] {
            if field.trim() != *field {
                let why = "begins or ends with a blank. Take it away, or write it as %20 if it is part of the key.";
                return Err(format!("{} {why}", quoted(field)));
            }
        }
        let version = match &*version {
            "" if columns.list_all_versions() => Some(NULL_VERSION.to_owned()),
            "" => None,
            version => Some(version.to_owned()),
        };
        asked(decode(&key)?, version).map(Some)
    }

    /// The columns that a first line names. In a bucket of this name it may as well be an object.
    fn header(&self, line: &str) -> Result<Option<Columns>, String> {
        let is_header = Fields::of(line).next().is_some_and(|field| {
            field.is_ok_and(|field| Column::named(&field) == Column::Bucket && self.bucket() != Some(&*field))
        });
        if !is_header {
            return Ok(None);
        }
        let names = Fields::of(line).collect::<Result<Vec<_>, _>>()?;
        Columns::named(names.iter().map(|name| &**name)).map(Some)
    }

    fn is_ours(&self, bucket: &str) -> bool {
        self.bucket.get_or_init(|| bucket.to_owned()) == bucket
    }

    fn elsewhere(&self, key: &str, bucket: &str) -> String {
        format!(
            "{} is in bucket {}, and this restore is of bucket {}. Split the manifest by bucket.",
            quoted(key),
            quoted(bucket),
            quoted(self.bucket().unwrap_or_default())
        )
    }
}

const ROW_OF_JSON: &str = "a key as a text, or {\"key\": …, \"version_id\": …}. List one object a line.";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    bucket: Option<String>,
    key: String,
    version_id: Option<String>,
}

/// A quotation mark may begin a field of CSV as well. A list is JSON, if not as it should be.
fn looks_like_json(line: &str) -> bool {
    match line.trim_start().as_bytes() {
        [b'{' | b'[', ..] => true,
        [b'"', ..] => serde_json::from_str::<String>(line).is_ok(),
        _ => false,
    }
}

fn asked(key: String, version_id: Option<String>) -> Result<RequestedObject, String> {
    if !(1..=MAX_KEY_BYTES).contains(&key.len()) {
        return Err(format!("the key {} must have 1 to {MAX_KEY_BYTES} bytes in UTF-8.", quoted(&key)));
    }
    if let Some(version) = version_id.as_deref().filter(|version| version.len() > MAX_VERSION_BYTES) {
        return Err(format!("the version {} must have at most {MAX_VERSION_BYTES} bytes.", quoted(version)));
    }
    Ok(RequestedObject { key, version_id })
}

fn decode(key: &str) -> Result<String, String> {
    if !key.contains(['%', '+']) {
        return Ok(key.to_owned());
    }
    let is_encoded = |after: &str| after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !key.split('%').skip(1).all(is_encoded) {
        let fix = "Write % as %25, + as %2B, and a blank as %20.";
        return Err(format!("the key {} is not URL-encoded. {fix}", quoted(key)));
    }
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(Cow::into_owned)
        .map_err(|_| format!("the key {} is not UTF-8 once it is decoded. Encode the bytes of its UTF-8.", quoted(key)))
}

/// A text of somebody else's in a message: its first 80 characters, and always both quotation marks.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    if short.len() < text.len() { format!("{short:?}…") } else { format!("{short:?}") }
}

impl Columns {
    /// What S3 Batch Operations takes, where each line may have a version or not.
    fn of_a_list() -> Self {
        Self { columns: vec![Column::Bucket, Column::Key, Column::VersionId], least: 2 }
    }

    /// The columns of these names: S3 Inventory's, in any case, with `_` or without.
    pub(crate) fn named<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let columns: Vec<_> = names.map(Column::named).collect();
        for (column, name, is_needed) in [
            (Column::Bucket, "Bucket", true),
            (Column::Key, "Key", true),
            (Column::VersionId, "VersionId", false),
            (Column::IsDeleteMarker, "IsDeleteMarker", false),
        ] {
            match columns.iter().filter(|this| **this == column).count() {
                0 if is_needed => return Err(format!("there is no column {name}. Add it.")),
                0 | 1 => {}
                _ => return Err(format!("the column {name} stands twice. Keep one of them.")),
            }
        }
        Ok(Self { least: columns.len(), columns })
    }

    /// Whether these are the columns of an inventory of all versions, which has "the version-related fields VersionId, IsLatest, and
    /// DeleteMarker", and one of current versions has not (API Reference, "InventoryConfiguration").
    ///
    /// An empty version id is that of the null version there: "S3 Inventory reports that include all versions mark any null-versioned
    /// objects with empty strings in the version ID field" (User Guide, "Converting empty version ID strings in Amazon S3 Inventory
    /// reports to null strings"). In a bucket without versions that is the object itself.
    fn list_all_versions(&self) -> bool {
        let has = |column| self.columns.contains(&column);
        has(Column::VersionId) && (has(Column::IsLatest) || has(Column::IsDeleteMarker))
    }

    fn in_words(&self) -> String {
        if self.least < self.columns.len() {
            "bucket,key or bucket,key,version".to_owned()
        } else {
            format!("the {} columns that are named", self.least)
        }
    }
}

impl Column {
    fn named(name: &str) -> Self {
        match name.trim().replace('_', "").to_ascii_lowercase().as_str() {
            "bucket" => Self::Bucket,
            "key" => Self::Key,
            "versionid" | "version" => Self::VersionId,
            "islatest" => Self::IsLatest,
            "isdeletemarker" => Self::IsDeleteMarker,
            _ => Self::Other,
        }
    }
}

/// The fields of a line of CSV (RFC 4180), except that none goes on in the next line: in a key, a line break is encoded.
struct Fields<'a> {
    /// `None` after the last one.
    rest: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn of(line: &'a str) -> Self {
        Self { rest: Some(line) }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Cow<'a, str>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let Some(opened) = rest.strip_prefix('"') else {
            let (field, rest) = rest.split_once(',').map_or((rest, None), |(field, rest)| (field, Some(rest)));
            if field.contains('"') {
                return Some(Err(format!(
                    "a quotation mark is within {}. Write it as %22, or put the field between two of them.",
                    quoted(field)
                )));
            }
            self.rest = rest;
            return Some(Ok(field.into()));
        };
        let mut from = 0;
        let end = loop {
            let Some(mark) = opened[from..].find('"') else {
                return Some(Err(format!(
                    "a quotation mark is never closed in {}. Write a line break in a key as %0A.",
                    quoted(rest)
                )));
            };
            let end = from + mark;
            if !opened[end + 1..].starts_with('"') {
                break end;
            }
            from = end + 2;
        };
        let (field, after) = (&opened[..end], &opened[end + 1..]);
        self.rest = after.strip_prefix(',');
        if self.rest.is_none() && !after.is_empty() {
            return Some(Err(format!(
                "something follows the closing quotation mark in {}. Write a quotation mark in a key as %22.",
                quoted(rest)
            )));
        }
        Some(Ok(if from == 0 { field.into() } else { field.replace("\"\"", "\"").into() }))
    }
}

//! Parses a record of a manifest (a line or a JSON value) to a requested object.
//!
//! Keys in CSV are decoded as HTML forms are. S3 Inventory writes a blank as `+` and a plus as `%2B`, as S3's listings
//! do with `encoding-type=url` (boto and Cloud Custodian found this in rows that S3 wrote). The User Guide's functions
//! for S3 Batch Operations decode with `unquote_plus`. `%20` is a blank too. The documents of both require a plus to be
//! encoded. Keys in JSON, and keys in lists with one key per line, are not decoded.

use std::borrow::Cow;
use std::fmt::{self, Formatter};

use percent_encoding::percent_decode_str;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::json::Part;
use super::records::Record;
use super::why::{Why, quoted};
use crate::RequestedObject;
use crate::bucket_name::MAX_KEY_BYTES;
use crate::id::NULL_VERSION;
use crate::request::{MAX_VERSION_BYTES, not_a_key};

/// The encoding of the keys in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyReading {
    /// Not encoded.
    AsIs,
    /// URL-encoded.
    UrlEncoded,
}

/// Parses records. The first record decides the form of all. Errors are sentences for the user.
#[derive(Debug)]
pub(super) struct Rows {
    /// The bucket in which all objects must be. If `None`, it is set by the first object that names a bucket.
    bucket: Option<String>,
    /// Buckets that it may be. A first line that begins with one of them is read as an object in CSV, not as a header
    /// or key.
    known_buckets: Vec<String>,
    /// Whether the file's name ends in `.txt`, so that its lines are keys even if they have commas.
    is_txt: bool,
    /// `None` until the first record that is not blank.
    form: Option<Form>,
    /// Whether a JSON string was read as a key.
    has_texts: bool,
    /// Whether a key with a second reading was returned already.
    had_second: bool,
    /// The key of the last record under the other reading, if it is the first key that has one.
    second: Option<String>,
}

/// The state of [`Rows`] at a position between two records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RowsPlace {
    form: Option<Form>,
    had_second: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Form {
    Json,
    Csv(Columns),
    /// One key or address per line.
    Keys,
}

/// The columns of CSV.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Columns {
    columns: Vec<Column>,
    /// The minimum number of fields in a row. The columns after them are optional.
    least: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Column {
    Bucket,
    Key,
    VersionId,
    IsLatest,
    IsDeleteMarker,
    /// A column that thaw does not use. Even the storage class is read from S3 instead, because a list may be outdated.
    Other,
}

impl Rows {
    pub(super) fn new(bucket: &str, is_txt: bool) -> Self {
        Self { bucket: Some(bucket.to_owned()), ..Self::of_any_bucket(vec![bucket.to_owned()], is_txt) }
    }

    /// For a manifest whose first object decides the bucket.
    pub(super) fn of_any_bucket(known_buckets: Vec<String>, is_txt: bool) -> Self {
        Self { bucket: None, known_buckets, is_txt, form: None, has_texts: false, had_second: false, second: None }
    }

    /// The bucket of the objects; `None` as long as it is unknown.
    pub(super) fn bucket(&self) -> Option<&str> {
        self.bucket.as_deref()
    }

    /// For an inventory, whose keys have only one reading.
    pub(super) fn of_columns(bucket: &str, columns: Columns) -> Self {
        Self { form: Some(Form::Csv(columns)), had_second: true, ..Self::new(bucket, false) }
    }

    /// Continues at a position.
    pub(super) fn from(self, place: RowsPlace) -> Self {
        let RowsPlace { form, had_second } = place;
        Self { form, had_second, ..self }
    }

    /// The position after the last record that was read.
    pub(super) fn place(&self) -> RowsPlace {
        RowsPlace { form: self.form.clone(), had_second: self.had_second }
    }

    /// The reading of the keys; `None` before the first record.
    pub(super) fn reading(&self) -> Option<KeyReading> {
        Some(match self.form.as_ref()? {
            Form::Csv(_) => KeyReading::UrlEncoded,
            Form::Json | Form::Keys => KeyReading::AsIs,
        })
    }

    /// Whether a line, or a string in JSON, is just a key. Every text file is a valid list of that kind.
    pub(super) fn is_of_keys(&self) -> bool {
        self.has_texts || matches!(self.form, Some(Form::Keys))
    }

    /// The key that was read last, under the other reading. Returned at most once per file.
    pub(super) fn take_second(&mut self) -> Option<String> {
        self.second.take()
    }

    /// The object of a record; `None` if the record describes none.
    pub(super) fn read(&mut self, record: Record<'_>) -> Result<Option<RequestedObject>, Why> {
        match record {
            Record::Line(line) => self.read_line(line),
            Record::Json(part, text) => {
                self.form = Some(Form::Json);
                self.read_json(part, text)
            }
        }
    }

    fn read_line(&mut self, line: &[u8]) -> Result<Option<RequestedObject>, Why> {
        let line = std::str::from_utf8(line)
            .map_err(|_| "the line is not UTF-8, nor UTF-16 with a byte order mark. Save the manifest as UTF-8.")?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.trim().is_empty() {
            return Ok(None);
        }
        let (form, is_header) = match self.form.take() {
            Some(form) => (form, false),
            None => self.form_of(line)?,
        };
        let read = match &form {
            _ if is_header => Ok(None),
            Form::Csv(columns) => self.read_csv(line, columns),
            Form::Keys | Form::Json => self.read_key(line).map(Some),
        };
        self.form = Some(form);
        read
    }

    /// The form of the file by its first line, and whether that line is a header of column names.
    fn form_of(&self, line: &str) -> Result<(Form, bool), Why> {
        if let Some(columns) = self.header(line)? {
            return Ok((Form::Csv(columns), true));
        }
        let is_of_keys = !line.contains(',') || is_address(line) || (self.is_txt && !self.names_a_bucket(line));
        if is_of_keys && line.starts_with('"') && !self.is_txt {
            return Ok((Form::Csv(Columns::of_a_list()), false));
        }
        if is_of_keys && Column::named(line) == Column::Key {
            let why = "the first line names a column, and the others have no bucket. Take the line away, or name the columns bucket and key.";
            return Err(why.into());
        }
        Ok((if is_of_keys { Form::Keys } else { Form::Csv(Columns::of_a_list()) }, false))
    }

    /// Whether the first field of a line is one of the known buckets.
    fn names_a_bucket(&self, line: &str) -> bool {
        let first = Fields::of(line).next();
        first.is_some_and(|first| first.is_ok_and(|first| self.known_buckets.iter().any(|known| *known == first)))
    }

    /// Reads a line that is a key or an address.
    fn read_key(&mut self, line: &str) -> Result<RequestedObject, Why> {
        if let Some(control) = line.chars().find(|char| char.is_control()) {
            let why = match control {
                '\t' => {
                    "has a tab. List one key a line: aws s3api writes that with --query 'Contents[].[Key]' --output text. Write a key that has a tab in JSON"
                }
                _ => "has a control character. Save the list as text in UTF-8, or write such a key in JSON",
            };
            return Err(format!("the line {} {why}.", quoted(line)).into());
        }
        if line.trim() != line {
            return Err(blank_around(line, "write it in JSON"));
        }
        if let Some((bucket, key)) = line.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
            if !self.is_ours(bucket) {
                return Err(self.elsewhere(key, bucket));
            }
            return self.asked(key.to_owned(), None, None);
        }
        if !self.is_txt && line.contains(',') && !is_address(line) {
            let bucket = self.bucket().unwrap_or("bucket");
            return Err(format!(
                "{} has a comma, and the first line is a key without one. End the file's name in .txt if each line is a key, or begin each line with {bucket:?} and a comma.",
                quoted(line)
            )
            .into());
        }
        if is_of_aws_s3_ls(line) {
            return Err(format!(
                "{} looks like a line of aws s3 ls. List only the key: aws s3api list-objects-v2 writes a list that thaw reads.",
                quoted(line)
            )
            .into());
        }
        let second = decode(line).ok();
        self.asked(line.to_owned(), None, second)
    }

    fn read_json(&mut self, part: Part, text: &[u8]) -> Result<Option<RequestedObject>, Why> {
        let text = std::str::from_utf8(text).map_err(|_| "the JSON is not UTF-8. Save the manifest as UTF-8.")?;
        let broken = |why: serde_json::Error| -> Why {
            // serde_json adds the position in the value, which would be mistaken for a position in the file.
            let why = why.to_string();
            let why = why.rsplit_once(" at line ").map_or(&*why, |(why, _)| why);
            format!("{} is not JSON ({why}). Write {ROW_OF_JSON}.", quoted(text)).into()
        };
        let object: Object = match part {
            Part::Text => {
                let key: String = serde_json::from_str(text).map_err(broken)?;
                self.has_texts = true;
                let second = decode(&key).ok();
                return self.asked(key, None, second).map(Some);
            }
            Part::Marker if text.starts_with('"') => return Ok(None),
            Part::Object | Part::Marker | Part::Listing => serde_json::from_str(text).map_err(broken)?,
        };
        if let Some(name) = object.twice {
            return Err(format!("{name} stands twice in {}. Keep one of them.", quoted(text)).into());
        }
        if object.is_url_encoded {
            return Err("EncodingType is url: its keys are URL-encoded. List without --encoding-type.".into());
        }
        if let Some(bucket) = object.name.filter(|_| part == Part::Listing)
            && !self.is_ours(&bucket)
        {
            let (bucket, ours) = (quoted(&bucket), self.bucket().unwrap_or_default());
            let why =
                format!("the listing is of bucket {bucket}, and this restore is of bucket {ours:?}. List that bucket.");
            return Err(why.into());
        }
        if matches!(part, Part::Marker | Part::Listing) || object.is_marker {
            return Ok(None);
        }
        let key = match object.key {
            None if object.is_listing && object.unknown.is_none() => return Ok(None),
            None => {
                let unknown = object.unknown.map(|name| format!(", and thaw knows no field {}", quoted(&name)));
                let why = format!("{} has no key{}. Write {ROW_OF_JSON}.", quoted(text), unknown.unwrap_or_default());
                return Err(why.into());
            }
            Some(Value::String(key)) => key,
            Some(_) => return Err(format!("key is not a text in {}. Write {ROW_OF_JSON}.", quoted(text)).into()),
        };
        if let Some(name) = object.unknown {
            return Err(format!(
                "unknown field {}. The fields are key, version_id and bucket; those that S3 spells with a capital are passed over.",
                quoted(&name)
            )
            .into());
        }
        match object.bucket {
            None | Some(Value::Null) => {}
            Some(Value::String(bucket)) if self.is_ours(&bucket) => {}
            Some(Value::String(bucket)) => return Err(self.elsewhere(&key, &bucket)),
            Some(_) => return Err(format!("bucket is not a text in {}. Write {ROW_OF_JSON}.", quoted(text)).into()),
        }
        let version_id = match object.version_id {
            None | Some(Value::Null) => None,
            Some(Value::String(version)) if version.is_empty() => {
                return Err("the version_id is empty. Leave it out for the current version.".into());
            }
            Some(Value::String(version)) => Some(version),
            Some(_) => return Err(format!("version_id is not a text in {}. Write {ROW_OF_JSON}.", quoted(text)).into()),
        };
        let second = decode(&key).ok();
        self.asked(key, version_id, second).map(Some)
    }

    fn read_csv(&mut self, line: &str, columns: &Columns) -> Result<Option<RequestedObject>, Why> {
        let (mut bucket, mut key, mut version, mut marker) = (None, Cow::default(), Cow::default(), false);
        let mut count = 0;
        for field in Fields::of(line) {
            let field = field?;
            match columns.columns.get(count) {
                Some(Column::Bucket) => bucket = Some(field),
                Some(Column::Key) => key = field,
                Some(Column::VersionId) => version = field,
                Some(Column::IsDeleteMarker) => marker = field.eq_ignore_ascii_case("true"),
                // Every listed version is restored, whether it is the latest or not.
                Some(Column::IsLatest | Column::Other) | None => {}
            }
            count += 1;
        }
        if !(columns.least..=columns.columns.len()).contains(&count) {
            let fields = if count == 1 { "field" } else { "fields" };
            return Err(format!("the line has {count} {fields}. It must have {}.", columns.in_words()).into());
        }
        if let Some(bucket) = bucket
            && !self.is_ours(&bucket)
        {
            return Err(self.elsewhere(&key, &bucket));
        }
        if marker {
            return Ok(None);
        }
        for field in [&key, &version] {
            if field.trim() != *field {
                return Err(blank_around(field, "write it as %20"));
            }
        }
        let version = match &*version {
            "" if columns.list_all_versions() => Some(NULL_VERSION.to_owned()),
            "" => None,
            version => Some(version.to_owned()),
        };
        self.asked(decode(&key)?, version, Some(key.into_owned())).map(Some)
    }

    /// The columns that the first line names; `None` if it is no header. If the first field is also a known bucket, the
    /// line is an object.
    fn header(&self, line: &str) -> Result<Option<Columns>, Why> {
        // A line that is not CSV is no header.
        let Ok(names) = Fields::of(line).collect::<Result<Vec<_>, _>>() else { return Ok(None) };
        let columns: Vec<_> = names.iter().map(|name| Column::named(name)).collect();
        let has = |column| columns.contains(&column);
        let begins_with_bucket = columns.first() == Some(&Column::Bucket);
        let names_key = has(Column::Key) && (has(Column::Bucket) || names.iter().all(|name| is_a_column(name)));
        let is_header = begins_with_bucket || (names_key && names.len() > 1);
        if !is_header || self.names_a_bucket(line) {
            return Ok(None);
        }
        // Without a column Bucket, all objects are in the bucket of the restore.
        let columns = Columns::named(names.iter().map(|name| &**name), begins_with_bucket);
        Ok(Some(columns?))
    }

    fn is_ours(&mut self, bucket: &str) -> bool {
        self.bucket.get_or_insert_with(|| bucket.to_owned()) == bucket
    }

    fn elsewhere(&self, key: &str, bucket: &str) -> Why {
        format!(
            "{} is in bucket {}, and this restore is of bucket {:?}. Split the manifest by bucket.",
            quoted(key),
            quoted(bucket),
            self.bucket().unwrap_or_default()
        )
        .into()
    }

    /// The object, if its key and version are possible in S3. `second` is its key under the other reading.
    fn asked(
        &mut self,
        key: String,
        version_id: Option<String>,
        second: Option<String>,
    ) -> Result<RequestedObject, Why> {
        if !(1..=MAX_KEY_BYTES).contains(&key.len()) {
            return Err(format!("the key {} must have 1 to {MAX_KEY_BYTES} bytes in UTF-8.", quoted(&key)).into());
        }
        if let Some(why) = not_a_key(&key) {
            return Err(format!("the key {} {why}", quoted(&key)).into());
        }
        if let Some(version) = version_id.as_deref().filter(|version| version.len() > MAX_VERSION_BYTES) {
            return Err(format!("the version {} must have at most {MAX_VERSION_BYTES} bytes.", quoted(version)).into());
        }
        let second = second.filter(|second| !self.had_second && *second != key);
        self.had_second |= second.is_some();
        self.second = second;
        Ok(RequestedObject { key, version_id })
    }
}

fn blank_around(field: &str, how: &str) -> Why {
    format!("{} begins or ends with a blank. Take it away, or {how} if it is part of the key.", quoted(field)).into()
}

/// Whether a line is meant as an address, valid or not.
fn is_address(line: &str) -> bool {
    line.starts_with("s3://") || line.starts_with("https://") || line.starts_with("http://")
}

/// Whether a line is like `2019-07-01 12:30:00       1234 photos/cat.jpg`, the output of `aws s3 ls`.
fn is_of_aws_s3_ls(line: &str) -> bool {
    let shape = |word: &str, like: &str| {
        let digits = word.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
        digits.eq(like.bytes())
    };
    let mut words = line.split_ascii_whitespace();
    words.next().is_some_and(|date| shape(date, "0000-00-00"))
        && words.next().is_some_and(|time| shape(time, "00:00:00"))
        && words.next().is_some_and(|size| size.bytes().all(|byte| byte.is_ascii_digit()))
}

const ROW_OF_JSON: &str = "a key as a text, or {\"key\": …, \"version_id\": …}";

/// A JSON object, with the fields that thaw uses. Their names are read in upper or lower case, with `_` or without.
#[derive(Default)]
struct Object {
    bucket: Option<Value>,
    key: Option<Value>,
    version_id: Option<Value>,
    is_marker: bool,
    /// The bucket of a listing.
    name: Option<String>,
    /// Whether it has a field that only the output of a listing has.
    is_listing: bool,
    is_url_encoded: bool,
    /// The first field that is unknown to thaw and does not begin with a capital as the fields of S3 do.
    unknown: Option<String>,
    twice: Option<&'static str>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fill)
    }
}

struct Fill;

impl<'de> Visitor<'de> for Fill {
    type Value = Object;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut object = Object::default();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let (field, called) = match Column::named(&name) {
                Column::Bucket => (&mut object.bucket, "bucket"),
                Column::Key => (&mut object.key, "key"),
                Column::VersionId => (&mut object.version_id, "version_id"),
                Column::IsDeleteMarker => {
                    object.is_marker = map.next_value::<Value>()? == Value::Bool(true);
                    continue;
                }
                Column::IsLatest | Column::Other => {
                    match &*name {
                        "Name" => object.name = map.next_value::<Value>()?.as_str().map(str::to_owned),
                        "EncodingType" => object.is_url_encoded = map.next_value::<Value>()? == "url",
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                    object.is_listing |=
                        matches!(&*name, "RequestCharged" | "Prefix" | "IsTruncated" | "KeyCount" | "Name");
                    if !name.starts_with(|char: char| char.is_ascii_uppercase()) && !name.is_empty() {
                        object.unknown.get_or_insert_with(|| name.into_owned());
                    }
                    continue;
                }
            };
            if field.is_some() {
                object.twice = Some(called);
            }
            *field = Some(map.next_value()?);
        }
        Ok(object)
    }
}

fn decode(key: &str) -> Result<String, Why> {
    if !key.contains(['%', '+']) {
        return Ok(key.to_owned());
    }
    let is_encoded = |after: &str| after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !key.split('%').skip(1).all(is_encoded) {
        let fix = "Write % as %25, + as %2B, and a blank as %20.";
        return Err(format!("the key {} is not URL-encoded. {fix}", quoted(key)).into());
    }
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| {
        format!("the key {} is not UTF-8 once it is decoded. Encode the bytes of its UTF-8.", quoted(key)).into()
    })
}

impl Columns {
    /// The columns of S3 Batch Operations: bucket, key, and optionally version.
    fn of_a_list() -> Self {
        Self { columns: vec![Column::Bucket, Column::Key, Column::VersionId], least: 2 }
    }

    /// The columns with these names, as S3 Inventory has them. Case and `_` do not matter.
    ///
    /// Fails if a needed column is missing, or if a column is named twice.
    pub(crate) fn named<'a>(names: impl Iterator<Item = &'a str>, needs_bucket: bool) -> Result<Self, String> {
        let columns: Vec<_> = names.map(Column::named).collect();
        for (column, name, is_needed) in [
            (Column::Bucket, "Bucket", needs_bucket),
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

    /// Whether these are the columns of an inventory of all versions. It has "the version-related fields VersionId,
    /// IsLatest, and DeleteMarker", which an inventory of current versions does not have (API Reference,
    /// "InventoryConfiguration").
    ///
    /// An empty version id in it means the null version: "S3 Inventory reports that include all versions mark any
    /// null-versioned objects with empty strings in the version ID field" (User Guide, "Converting empty version ID
    /// strings in Amazon S3 Inventory reports to null strings"). In a bucket without versions, the null version is the
    /// object itself.
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
        let all = [
            ("bucket", Self::Bucket),
            ("key", Self::Key),
            ("versionid", Self::VersionId),
            ("version", Self::VersionId),
            ("islatest", Self::IsLatest),
            ("isdeletemarker", Self::IsDeleteMarker),
        ];
        all.into_iter().find(|(spelling, _)| is_spelled(name, spelling)).map_or(Self::Other, |(_, column)| column)
    }
}

/// Whether a name is that of a column of an inventory or a listing.
fn is_a_column(name: &str) -> bool {
    Column::named(name) != Column::Other
        || [
            "size",
            "lastmodifieddate",
            "lastmodified",
            "etag",
            "storageclass",
            "ismultipartuploaded",
            "replicationstatus",
            "encryptionstatus",
            "objectlockretainuntildate",
            "objectlockmode",
            "objectlocklegalholdstatus",
            "intelligenttieringaccesstier",
            "bucketkeystatus",
            "checksumalgorithm",
            "objectaccesscontrollist",
            "objectowner",
            "lifecycleexpirationdate",
        ]
        .into_iter()
        .any(|spelling| is_spelled(name, spelling))
}

/// Whether a name equals `spelling` when case, `_` and surrounding blanks are ignored.
fn is_spelled(name: &str, spelling: &str) -> bool {
    let letters = name.trim().bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase());
    letters.eq(spelling.bytes())
}

/// The fields of a line of CSV (RFC 4180). Unlike there, a field never contains a line break, because it is encoded in
/// a key. Blanks after a comma do not belong to a field.
struct Fields<'a> {
    /// `None` after the last field.
    rest: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn of(line: &'a str) -> Self {
        Self { rest: Some(line) }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Cow<'a, str>, Why>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let Some(opened) = rest.strip_prefix('"') else {
            let (field, rest) = rest.split_once(',').map_or((rest, None), |(field, rest)| (field, Some(rest)));
            if field.contains('"') {
                return Some(Err(format!(
                    "a quotation mark is within {}. Write it as %22, or put the field between two of them.",
                    quoted(field)
                )
                .into()));
            }
            self.rest = rest.map(|rest| rest.trim_start_matches(' '));
            return Some(Ok(field.into()));
        };
        let mut from = 0;
        let end = loop {
            let Some(mark) = opened[from..].find('"') else {
                return Some(Err(format!(
                    "a quotation mark is never closed in {}. Write a line break in a key as %0A.",
                    quoted(rest)
                )
                .into()));
            };
            let end = from + mark;
            if !opened[end + 1..].starts_with('"') {
                break end;
            }
            from = end + 2;
        };
        let (field, after) = (&opened[..end], &opened[end + 1..]);
        self.rest = after.strip_prefix(',').map(|rest| rest.trim_start_matches(' '));
        if self.rest.is_none() && !after.is_empty() {
            return Some(Err(format!(
                "something follows the closing quotation mark in {}. Write a quotation mark in a key as %22.",
                quoted(rest)
            )
            .into()));
        }
        Some(Ok(if from == 0 { field.into() } else { field.replace("\"\"", "\"").into() }))
    }
}

//! Reads manifests: files that list the objects of a restore.

mod json;
mod records;
mod rows;
mod text;
mod why;

use crate::{Problem, RequestedObject, S3Uri};

use serde::{Deserialize, Serialize};

use records::{Record, Records, RecordsPlace};
pub(crate) use rows::Columns;
pub use rows::KeyReading;
use rows::{Rows, RowsPlace};
use why::Why;

/// Maximum of bytes of a manifest, unpacked: five million objects on lines of 2 KiB. For more objects, S3 Batch
/// Operations is the better tool. The limit also stops a zip bomb. There is no limit for the compression ratio: deflate
/// reaches at most 1,032 to 1, and valid lists with keys that differ only in a digit come near to that.
pub const MAX_MANIFEST_BYTES: u64 = 10 * 1024 * 1024 * 1024;

/// Reads a manifest as a stream, piece by piece. It holds no more in memory than the longest line, or the longest
/// object in JSON.
///
/// A manifest is text in UTF-8, or in UTF-16 with a byte order mark, plain or packed with gzip (detected by the first
/// byte). The first line that is not blank decides which of these formats the manifest has. Blank lines are ignored,
/// but count for the line numbers.
///
/// - JSON, if the line begins with `{` or `[`, or is a string in quotation marks. The file is one JSON value, or
///   several after each other. A string is a key. An object is `{"key": …, "version_id": …, "bucket": …}`, the last two
///   optional, with names spelled like this or as S3 spells them. A list has strings and objects. The output of `aws
///   s3api` listings is read as well. Keys are not decoded.
/// - Keys, if the line has no comma, or is an address, or the file's name ends in `.txt` and the line does not begin
///   with the bucket and a comma. Each line is a key, not decoded, or `s3://bucket/key`. Further lines may have commas
///   only if the name ends in `.txt`.
/// - CSV as in S3 Batch Operations and S3 Inventory, in every other case: `bucket,key` or `bucket,key,version`, each
///   field optionally in quotation marks. Keys are URL-encoded as S3 encodes them: a blank is `+` or `%20`, a plus is
///   `%2B`, and a percent sign is `%25`. Other characters may be encoded or not. The first line may instead name the
///   columns, in any order. Columns that thaw does not use are ignored, and so are rows of delete markers.
///
/// An object that is listed twice is returned twice, because detecting that would need memory for all objects. The
/// caller must be idempotent: it writes each object under the object's own name.
///
/// A manifest without an object is refused, and so is one with an object of another bucket, because it is unknown what
/// was meant. After a problem the reader returns nothing but that problem.
///
/// ```
/// use thaw_core::{ManifestReader, S3Uri};
/// let mut reader = ManifestReader::new(S3Uri::parse("s3://my-lists/2019.csv")?, "archive");
/// let mut keys = Vec::new();
/// for piece in [&b"archive,2019/c"[..], b"at.jpg\narchive,2019/a+b.jpg"] {
///     for asked in reader.push(piece) {
///         keys.push(asked?.key);
///     }
/// }
/// keys.extend(reader.finish()?.map(|asked| asked.key));
/// assert_eq!(keys, ["2019/cat.jpg", "2019/a b.jpg"]);
/// # Ok::<(), thaw_core::Problem>(())
/// ```
#[derive(Debug)]
pub struct ManifestReader {
    at: S3Uri,
    records: Records,
    rows: Rows,
    may_be_empty: bool,
    has_objects: bool,
    second: Option<SecondReading>,
    problem: Option<Problem>,
}

/// The position of a reader between two objects of a manifest, with the format that the records before it have set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestPlace {
    records: RecordsPlace,
    rows: RowsPlace,
    has_objects: bool,
}

/// The first object of a manifest whose key becomes another key under the other [`KeyReading`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondReading {
    /// Its line number.
    pub line: u64,
    /// The object, as the reader returned it.
    pub asked: RequestedObject,
    /// The reading of its key.
    pub reading: KeyReading,
    /// The key under the other reading.
    pub other: String,
}

impl ManifestPlace {
    /// The byte of the file from which a reader that continues here must be fed. It is 0 for a packed file, because
    /// gzip can be unpacked only from the beginning.
    pub fn first_byte(&self) -> u64 {
        self.records.first_byte()
    }
}

impl ManifestReader {
    /// A reader for the manifest at this address, for a restore in this bucket.
    pub fn new(at: S3Uri, bucket: &str) -> Self {
        let rows = Rows::new(bucket, is_txt(&at));
        Self::with(at, Records::up_to(MAX_MANIFEST_BYTES), rows, false)
    }

    /// A reader for a data file of an inventory. Its columns are known, and it may list only delete markers, or
    /// nothing.
    pub(crate) fn of_inventory(at: S3Uri, bucket: &str, columns: Columns) -> Self {
        Self::with(at, Records::up_to(MAX_MANIFEST_BYTES).of_lines(), Rows::of_columns(bucket, columns), true)
    }

    fn with(at: S3Uri, records: Records, rows: Rows, may_be_empty: bool) -> Self {
        Self { at, records, rows, may_be_empty, has_objects: false, second: None, problem: None }
    }

    /// Whether each line, or each string in JSON, is just a key. Every text file is a valid list of that kind, so only
    /// keys that exist show that the file is meant as a list.
    pub fn is_of_keys(&self) -> bool {
        self.rows.is_of_keys()
    }

    /// The first object that has a second reading, after the reader has returned it. It is returned here once.
    pub fn take_second_reading(&mut self) -> Option<SecondReading> {
        self.second.take()
    }

    /// The position after the last object, or blank line, that was read.
    ///
    /// ```
    /// use thaw_core::{ManifestReader, S3Uri};
    /// let file = b"archive,a\narchive,b\n";
    /// let reader = || ManifestReader::new(S3Uri::parse("s3://my-lists/2019.csv").unwrap(), "archive");
    /// let mut first = reader();
    /// assert_eq!(first.push(&file[..15]).count(), 1);
    /// let place = first.place();
    /// let mut second = reader().from(place.clone());
    /// let rest = &file[usize::try_from(place.first_byte())?..];
    /// assert_eq!(second.push(rest).next().unwrap()?.key, "b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn place(&self) -> ManifestPlace {
        ManifestPlace { records: self.records.place(), rows: self.rows.place(), has_objects: self.has_objects }
    }

    /// Moves a new reader to a position of the same file. It must be fed the file from [`ManifestPlace::first_byte`]
    /// on.
    #[must_use]
    pub fn from(self, place: ManifestPlace) -> Self {
        let ManifestPlace { records, rows, has_objects } = place;
        Self { records: self.records.from(records), rows: self.rows.from(rows), has_objects, ..self }
    }

    /// Whether the bytes of a packed file that were pushed so far end before the position where the reader continues.
    pub fn is_before_its_place(&self) -> bool {
        self.records.is_before_its_place()
    }

    /// Reads the next piece of the file, of any length. The iterator is lazy: consume it to the end or to a problem, or
    /// the rest of the piece is lost.
    pub fn push<'a>(&'a mut self, mut bytes: &'a [u8]) -> impl Iterator<Item = Result<RequestedObject, Problem>> + 'a {
        std::iter::from_fn(move || {
            // After a problem, the rest of its piece is dropped, and each further piece returns the same problem.
            if self.problem.is_some() && bytes.is_empty() {
                return None;
            }
            let next = self.next(&mut bytes).transpose();
            if matches!(next, Some(Err(_))) {
                bytes = &[];
            }
            next
        })
    }

    /// Ends the file, and returns the object of a last line without a line break.
    pub fn finish(mut self) -> Result<Option<RequestedObject>, Problem> {
        self.end()
    }

    /// Ends the file as [`Self::finish`] does, but keeps the reader for further questions. Nothing may be pushed after
    /// it.
    pub fn end(&mut self) -> Result<Option<RequestedObject>, Problem> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        let last = match self.records.finish() {
            Ok(None) => Ok(None),
            Ok(Some(line)) => self.rows.read(line),
            Err(why) => Err(why),
        };
        let last = self.returned(last)?;
        if last.is_none() && !self.has_objects && !self.may_be_empty {
            return Err(Problem::manifest(&self.at, None, "it names no object. List one a line."));
        }
        Ok(last)
    }

    fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<RequestedObject>, Problem> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        let read = loop {
            match self.records.next(bytes) {
                Ok(None) => return Ok(None),
                Ok(Some(record)) => match self.rows.read(record) {
                    Ok(None) => {}
                    read => break read,
                },
                Err(why) => break Err(why),
            }
        };
        self.returned(read)
    }

    /// Prepares what the rows returned for the caller: records a second reading, and turns an error into the problem.
    fn returned(&mut self, read: Result<Option<RequestedObject>, Why>) -> Result<Option<RequestedObject>, Problem> {
        match read {
            Ok(None) => Ok(None),
            Ok(Some(asked)) => {
                self.has_objects = true;
                if let (Some(other), Some(reading)) = (self.rows.take_second(), self.rows.reading()) {
                    let line = self.records.number();
                    self.second = Some(SecondReading { line, asked: asked.clone(), reading, other });
                }
                Ok(Some(asked))
            }
            Err(why) => {
                let problem = refused(&self.at, &self.records, &why, self.has_objects);
                Err(self.problem.insert(problem).clone())
            }
        }
    }
}

/// Maximum of bytes, unpacked, that are read to find the first object if the request names no bucket. A line of column
/// names and many lines without an object may precede it.
const BYTES_BEFORE_THE_FIRST: u64 = 1024 * 1024;

/// The bucket that the first object of a manifest names; `None` if it names none, which JSON and lists of keys may do.
///
/// `beginning` is the beginning of the manifest, and `more` is whether the file continues after it. A first field of a
/// line that is one of `buckets` is read as the bucket.
///
/// Fails if the beginning is not that of a manifest, or contains no object.
pub fn first_bucket(
    at: &S3Uri,
    mut beginning: &[u8],
    more: bool,
    buckets: &[String],
) -> Result<Option<String>, Problem> {
    let mut records = Records::up_to(BYTES_BEFORE_THE_FIRST);
    let mut rows = Rows::of_any_bucket(buckets.to_vec(), is_txt(at));
    loop {
        let record = match records.next(&mut beginning) {
            // The last line may lack a line break.
            Ok(None) if !more => records.finish(),
            other => other,
        };
        let is_last = matches!(record, Ok(None));
        let read = match record {
            Ok(Some(record)) => rows.read(record),
            Ok(None) => break,
            Err(why) => Err(why),
        };
        match read {
            Ok(None) if !is_last => {}
            Ok(None) => break,
            Ok(Some(_)) => return Ok(rows.bucket().map(str::to_owned)),
            Err(_) if records.is_over() => break,
            Err(why) => return Err(refused(at, &records, &why, false)),
        }
    }
    Err(Problem::manifest(at, None, "it names no object at its beginning. List one a line, from the first line on."))
}

/// Whether a file with this beginning is a list in JSON and not a request: its first value is an object of the bucket
/// or a listing.
pub(crate) fn is_a_list_in_json(at: &S3Uri, mut beginning: &[u8], more: bool) -> bool {
    let (mut records, mut rows) = (Records::up_to(BYTES_BEFORE_THE_FIRST), Rows::of_any_bucket(Vec::new(), is_txt(at)));
    loop {
        let record = match records.next(&mut beginning) {
            Ok(None) if !more => records.finish(),
            other => other,
        };
        let Ok(Some(record)) = record else { return false };
        let is_json = matches!(record, Record::Json(..));
        match rows.read(record) {
            Ok(Some(_)) => return is_json,
            Ok(None) => {}
            Err(_) => return false,
        }
    }
}

/// Whether the file's name marks it as a list with one key per line: it ends in `.txt` or `.txt.gz`.
fn is_txt(at: &S3Uri) -> bool {
    let name = at.key.to_ascii_lowercase();
    name.strip_suffix(".gz").unwrap_or(&name).ends_with(".txt")
}

/// The problem for a record that is refused. As long as the file has named no object, it may be any file, and the
/// caller may not be allowed to read it. So nothing of it is quoted then.
fn refused(at: &S3Uri, records: &Records, why: &Why, is_manifest: bool) -> Problem {
    let why = if is_manifest { why.shown() } else { why.hidden() };
    let why = match records.number_in_list() {
        None => why,
        Some(number) => format!("object {number} of the list: {why}"),
    };
    Problem::manifest(at, Some(records.number()), why)
}

#[cfg(test)]
mod tests {
    use super::records::MAX_LINE_BYTES;
    use super::*;

    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn reader() -> ManifestReader {
        ManifestReader::new(S3Uri::parse("s3://lists/2019.csv").unwrap(), "archive")
    }

    fn read_by(mut reader: ManifestReader, bytes: &[u8]) -> Result<Vec<RequestedObject>, Problem> {
        let mut all = reader.push(bytes).collect::<Result<Vec<_>, _>>()?;
        all.extend(reader.finish()?);
        Ok(all)
    }

    fn read(bytes: impl AsRef<[u8]>) -> Result<Vec<RequestedObject>, Problem> {
        read_by(reader(), bytes.as_ref())
    }

    #[test]
    fn a_quoted_field_may_have_any_number_of_quotation_marks() {
        check("archive,\"2019/a\"\"b,c\"\"\"\n", &["2019/a\"b,c\""]);
    }

    #[test]
    fn it_may_be_as_large_as_five_million_long_lines() {
        assert!((5_000_000 * 2_048..20_000_000_000).contains(&MAX_MANIFEST_BYTES));
    }

    /// The objects as `key` or `key@version`.
    #[track_caller]
    fn check(bytes: impl AsRef<[u8]>, expect: &[&str]) {
        let shown = |asked: RequestedObject| match asked.version_id {
            None => asked.key,
            Some(version) => format!("{}@{version}", asked.key),
        };
        let all: Vec<_> = read(bytes).unwrap().into_iter().map(shown).collect();
        assert_eq!(all, expect);
    }

    #[track_caller]
    fn check_problem(bytes: impl AsRef<[u8]>, place: &str, fix: &str) {
        let problem = read(bytes).unwrap_err();
        assert_eq!((problem.status, problem.field.as_deref()), (422, Some("manifest")));
        let begin = format!("manifest: s3://lists/2019.csv{place}: ");
        assert!(problem.detail.starts_with(&begin) && problem.detail.contains(fix), "{problem}");
    }

    #[test]
    fn a_file_that_may_not_be_a_manifest_is_never_quoted() {
        for file in [
            "secret,a \\\"b\\\" secret",
            "{\"secret\": 1}",
            "[secret",
            "secret\tx",
            "archive,%secret",
            " secret,a",
            "{\"Key\": secret}",
        ] {
            let problem = read(file).unwrap_err();
            assert!(!problem.to_string().contains("secret"), "{problem}");
        }
        let problem = read("archive,a\nother,b").unwrap_err();
        assert!(problem.to_string().contains("\"b\" is in bucket \"other\""), "{problem}");
    }

    #[test]
    fn a_csv_of_s3_batch_operations() {
        check("archive,a.jpg\narchive,2019/b.jpg\n", &["a.jpg", "2019/b.jpg"]);
        check("archive,a,v1\narchive,b,\narchive,c\narchive,d,null", &["a@v1", "b", "c", "d@null"]);
        check("\"archive\",\"a\",\"v1\"\r\narchive,\"b\"\r\n", &["a@v1", "b"]);
    }

    #[test]
    fn keys_in_csv_are_url_encoded_as_s3_does_it() {
        check("archive,a+b%20c\narchive,a%2Bb\narchive,100%25", &["a b c", "a+b", "100%"]);
        check("archive,%C3%BC/%e6%97%a5\narchive,ü", &["ü/日", "ü"]);
        check("archive,a%2Cb%22%0A%0d\narchive,\"a,b\"", &["a,b\"\n\r", "a,b"]);
        check_problem("archive,a\narchive,100%\n", ", line 2", "Write % as %25");
        check_problem("archive,%zz", ", line 1", "Write % as %25");
        check_problem("archive,%+1", ", line 1", "Write % as %25");
        check_problem("archive,%ff", ", line 1", "UTF-8");
    }

    #[test]
    fn json_lines() {
        check("\"a+b%20\"\n{\"key\": \"c\"}\n", &["a+b%20", "c"]);
        check(
            "{\"key\":\"ü\\n\",\"version_id\":\"v1\",\"bucket\":\"archive\"}\r\n  {\"version_id\":null,\"key\":\"b\"}",
            &["ü\n@v1", "b"],
        );
        check_problem("{\"key\":\"a\"}\n{\"key\":\"b\",\"size\":1}", ", line 2", "unknown field \"size\"");
        check_problem("{\"key\":\"a\"}\narchive,b", ", line 2", "{\"key\": …, \"version_id\": …}");
        check("{\"key\":\"a\"}\n[\"b\"]", &["a", "b"]);
        check_problem("\"a\"\n{\"version_id\":\"a\"}", ", line 2", "has no key");
        check_problem("\"a\"\n{\"key\":\"a\",\"bucket\":\"other\"}", ", line 2", "in bucket \"other\"");
        check_problem("{\"key\":\"a\",\"version_id\":\"\"}", ", line 1", "version_id");
        check("[{\"key\":\"a\"}]", &["a"]);
        check_problem("\"a\" \"b\"", ", line 1", "quotation mark");
    }

    #[test]
    fn a_first_line_may_name_the_columns() {
        check("bucket,key\narchive,a\n", &["a"]);
        check("\"Bucket\",\"Key\",\"VersionId\"\n\"archive\",\"a\",\"v1\"", &["a@v1"]);
        check("bucket,size,version_id,key\narchive,7,v1,a\narchive,7,,b", &["a@v1", "b"]);
        check("Bucket,Key,IsDeleteMarker\narchive,a,true\narchive,b,false", &["b"]);
        check_problem("bucket,size\narchive,1", ", line 1", "no column Key");
        check_problem("bucket,key,Key\narchive,a,b", ", line 1", "column Key stands twice");
        check_problem("archive,a\nbucket,key", ", line 2", "in bucket \"bucket\"");
    }

    #[test]
    fn in_a_bucket_named_bucket_no_line_names_columns() {
        let reader = ManifestReader::new(S3Uri::parse("s3://lists/2019.csv").unwrap(), "bucket");
        assert_eq!(read_by(reader, b"bucket,key").unwrap()[0].key, "key");
    }

    #[test]
    fn a_byte_order_mark_blank_lines_and_a_missing_line_break_are_accepted() {
        check("\u{feff}archive,a", &["a"]);
        check("\u{feff}{\"key\":\"a\"}", &["a"]);
        check("\u{feff}\n\n\r\n  \narchive,a\n\n", &["a"]);
        check_problem("\n\narchive,\n", ", line 3", "1 to 1024 bytes");
        check_problem("archive,a\n\u{feff}archive,b", ", line 2", "in bucket");
    }

    #[test]
    fn gzip_is_detected_by_its_first_byte_and_read_to_the_end() {
        check(gzip(b"archive,a\narchive,b"), &["a", "b"]);
        check([gzip(b"archive,a\narch"), gzip(b""), gzip(b"ive,b\n")].concat(), &["a", "b"]);
        let whole = gzip(b"archive,a\narchive,b\n");
        for cut in 1..whole.len() {
            let problem = read(&whole[..cut]).unwrap_err();
            assert!(problem.detail.contains("cut off"), "{cut} bytes: {problem}");
        }
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        check_problem(damaged, ", line 3", "damaged");
        check_problem([whole, b"archive,c\n".to_vec()].concat(), ", line 3", "damaged");
        check_problem(b"\x1farchive,a", ", line 1", "damaged");
    }

    #[test]
    fn an_object_of_another_bucket_is_an_error_at_its_line() {
        check_problem(
            "archive,a\nother,b\n",
            ", line 2",
            "\"b\" is in bucket \"other\", and this restore is of bucket \"archive\". Split the manifest by bucket.",
        );
    }

    #[test]
    fn a_line_that_is_no_row_is_an_error_at_its_line() {
        check_problem("archive,a\n2019/b.jpg\n", ", line 2", "bucket,key");
        check_problem("archive,a,b,c", ", line 1", "4 fields");
        check_problem("archive,", ", line 1", "1 to 1024 bytes");
        check_problem("archive,\"a\nb\"", ", line 1", "never closed");
        check_problem("archive,\"a\"b", ", line 1", "quotation mark");
        check_problem("archive,a\"b", ", line 1", "%22");
        check_problem("archive,\" a\"", ", line 1", "blank");
        check_problem("archive,a ,v", ", line 1", "blank");
        check_problem(b"archive,a\n\xff\xfea\0", ", line 2", "UTF-8");
    }

    #[test]
    fn keys_and_versions_are_as_long_as_they_can_be() {
        let (key, version) = ("%C3%BC".repeat(512), "v".repeat(900));
        check(format!("archive,{key},{version}"), &[&format!("{}@{version}", "ü".repeat(512))]);
        check_problem(format!("archive,{key}a"), ", line 1", "1 to 1024 bytes");
        check_problem(format!("archive,a,{version}v"), ", line 1", "at most 900 bytes");
        check_problem(format!("{{\"key\":\"{}\"}}", "a".repeat(1_025)), ", line 1", "1 to 1024 bytes");
        check_problem("\"\"", ", line 1", "1 to 1024 bytes");
    }

    #[test]
    fn a_manifest_that_names_nothing_is_an_error() {
        for empty in [&b""[..], b"\n", b"\xef\xbb\xbf", b"bucket,key\n", b"bucket,key,IsDeleteMarker\narchive,a,true"] {
            check_problem(empty, "", "names no object");
            check_problem(gzip(empty), "", "names no object");
        }
    }

    #[test]
    fn after_a_problem_only_that_problem_is_returned() {
        let mut reader = reader();
        let problem = reader.push(b"other,a\narchive,b\n").next().unwrap().unwrap_err();
        assert!(reader.push(b"").next().is_none());
        let again: Vec<_> = reader.push(b"archive,c\n").collect();
        assert_eq!(again, [Err(problem.clone())]);
        assert_eq!(reader.finish(), Err(problem));
    }

    #[track_caller]
    fn check_first(beginning: impl AsRef<[u8]>, more: bool, expect: Result<Option<&str>, &str>) {
        let at = S3Uri::parse("s3://lists/2019.csv").unwrap();
        match (first_bucket(&at, beginning.as_ref(), more, &[]), expect) {
            (Ok(bucket), expect) => assert_eq!(Ok(bucket.as_deref()), expect),
            (Err(problem), expect) => {
                let fix = expect.unwrap_err();
                assert!(problem.status == 422 && problem.detail.contains(fix), "{problem}");
            }
        }
    }

    #[test]
    fn the_first_object_of_a_manifest_names_the_bucket() {
        check_first("one,a\ntwo,b\n", true, Ok(Some("one")));
        check_first("bucket,key\n\none,a", false, Ok(Some("one")));
        check_first("Bucket,Key,IsDeleteMarker\none,a,true\none,b,false\n", false, Ok(Some("one")));
        check_first(gzip(b"one,a\ntwo,b\n"), false, Ok(Some("one")));
        check_first(r#"{"bucket":"one","key":"a"}"#, false, Ok(Some("one")));
        check_first("\"a\"\n{\"bucket\":\"one\",\"key\":\"b\"}", false, Ok(None));
    }

    #[test]
    fn a_beginning_without_an_object_names_no_bucket() {
        for nothing in ["", "\n\n", "bucket,key\n"] {
            check_first(nothing, false, Err("names no object"));
            check_first(gzip(nothing.as_bytes()), false, Err("names no object"));
        }
        // A line that is cut off is not read.
        check_first("one,a", true, Err("names no object"));
        check_first("one,a", false, Ok(Some("one")));
        check_first("hello,\n", false, Err("line 1"));
        check_first(b"\xff\xff\n", true, Err("UTF-8"));
        let whole = gzip(b"one,a");
        check_first(&whole[..whole.len() - 9], false, Err("cut off"));
    }

    #[test]
    fn a_bucket_is_searched_in_a_limited_number_of_bytes() {
        let after = |lines: u64| format!("{}one,a\n", "\n".repeat(usize::try_from(lines).unwrap()));
        check_first(after(BYTES_BEFORE_THE_FIRST - 6), true, Ok(Some("one")));
        check_first(after(BYTES_BEFORE_THE_FIRST - 5), true, Err("names no object"));
        check_first(gzip(&b"\n".repeat(4 * 1024 * 1024)), true, Err("names no object"));
        check_first(gzip(&[&b"["[..], &b" ".repeat(4 * 1024 * 1024)].concat()), true, Err("names no object"));
    }

    #[test]
    fn a_line_and_a_manifest_have_their_limits() {
        let just = format!("\"archive\",\"a\"{}\n", " ".repeat(MAX_LINE_BYTES));
        check_problem(&just, ", line 1", "65536 bytes");
        check_problem(gzip(just.as_bytes()), ", line 1", "65536 bytes");
        let fits = format!("{}\narchive,a", " ".repeat(MAX_LINE_BYTES));
        check(&fits, &["a"]);

        let up_to = |limit| ManifestReader { records: Records::up_to(limit), ..reader() };
        for bytes in [b"archive,a\narchive,b\n".to_vec(), gzip(b"archive,a\narchive,b\n")] {
            assert_eq!(read_by(up_to(20), &bytes).unwrap().len(), 2);
            let problem = read_by(up_to(19), &bytes).unwrap_err();
            assert!(problem.detail.contains("line 2") && problem.detail.contains("19 bytes"), "{problem}");
        }
    }

    #[test]
    fn a_zip_bomb_is_unpacked_in_the_memory_of_a_line() {
        let bomb = gzip(&b"\n".repeat(4 * 1024 * 1024));
        assert!(bomb.len() < 64 * 1024);
        let mut reader = reader();
        assert_eq!(reader.push(&bomb).count(), 0);
        assert_eq!(reader.records.number(), 4 * 1024 * 1024 + 1);
        let line = gzip(&vec![b'a'; 4 * 1024 * 1024]);
        assert!(reader.push(&line).next().unwrap().is_err());
        assert!(reader.records.held() <= 4 * MAX_LINE_BYTES, "{} bytes", reader.records.held());
    }
}

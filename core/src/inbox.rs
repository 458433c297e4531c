//! The inbox: a file that is uploaded under `inbox/` in the work bucket is an order (a request or a manifest). Its
//! answer is written next to it.

use serde_json::{Map, Value, json};

use crate::manifest::is_a_list_in_json;
use crate::request::read_object;
use crate::{MAX_BODY_BYTES, Problem, Request, S3Uri, Usd, first_bucket, hash};

/// The prefix of orders in the work bucket.
pub const INBOX: &str = "inbox/";

/// The suffix of an answer's name, after the name of its file.
pub(crate) const ANSWER: &str = ".answer.json";

/// A file that was written, from S3's event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxFile {
    /// Its address.
    pub at: S3Uri,
    /// Its size in bytes.
    pub size: u64,
    /// Its ETag, without quotation marks.
    pub etag: String,
    /// The event's sequencer, which differs for each write of the file.
    pub sequencer: String,
}

/// The kind of a file in the inbox, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A request or a manifest in JSON, which its content decides ([`InboxFile::is_manifest`]). The name ends in
    /// `.json`.
    Request,
    /// A manifest: any other name.
    Manifest,
}

impl InboxFile {
    /// The kind of order, if the file is in the inbox of this bucket. Folders and answers are no orders.
    pub fn order(&self, work_bucket: &str) -> Option<Order> {
        let S3Uri { bucket, key } = &self.at;
        if bucket != work_bucket || !key.starts_with(INBOX) || key.ends_with('/') || key.ends_with(ANSWER) {
            return None;
        }
        let is_request = key.to_ascii_lowercase().ends_with(".json");
        Some(if is_request { Order::Request } else { Order::Manifest })
    }

    /// The key of its answer, in the same bucket.
    pub fn answer_name(&self) -> String {
        format!("{}{ANSWER}", self.at.key)
    }

    /// The idempotency key of this order. It is the same for every event of one write of the file, and differs for each
    /// write, even if the content is unchanged.
    pub fn key_hash(&self) -> String {
        hash(&["inbox", &self.at.bucket, &self.at.key, &self.etag, &self.sequencer])
    }

    /// Refuses an empty file, which need not be read.
    pub fn refuse_by_size(&self) -> Result<(), Problem> {
        match self.size {
            0 => Err(Problem::no_order(&self.at, "the file is empty. Drop a request or a manifest.")),
            _ => Ok(()),
        }
    }

    /// Whether it is a manifest, by its name or by its beginning. `more` is whether the file continues after
    /// `beginning`.
    pub fn is_manifest(&self, order: Order, beginning: &[u8], more: bool) -> bool {
        match order {
            Order::Request => is_a_list_in_json(&self.at, beginning, more),
            Order::Manifest => true,
        }
    }

    /// The request in the file. `content` is all of it, or its first bytes if it is larger than a request may be.
    pub fn request(&self, content: &[u8]) -> Result<Request, Problem> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        if size > MAX_BODY_BYTES {
            return Err(Problem::too_large(size, MAX_BODY_BYTES));
        }
        Request::read(content).map_err(|problem| match inventory_of(content) {
            None => problem,
            // The data files that it names, and so the cost, are not here. It is often the list of a whole archive.
            Some(bucket) => Problem::no_order(
                &self.at,
                format!(
                    "it is the manifest.json of an S3 Inventory, and lists files that are not here. Drop a request that names it where S3 wrote it: {}.",
                    json!({"bucket": bucket, "manifest": "s3://…/manifest.json", "max_cost_usd": 1})
                ),
            ),
        })
    }

    /// The request for a file that is a manifest: all objects that it lists, with the defaults and with `max_cost` as
    /// the limit. `more` is whether the file continues after `beginning`.
    ///
    /// The bucket is that of its first object. If the first object names none, it is the only one of `archive_buckets`.
    /// Fails if there are several.
    pub fn manifest(
        &self,
        beginning: &[u8],
        more: bool,
        archive_buckets: &[String],
        max_cost: Option<Usd>,
    ) -> Result<Request, Problem> {
        let bucket = match (first_bucket(&self.at, beginning, more, archive_buckets)?, archive_buckets) {
            (Some(bucket), _) => bucket,
            (None, [only]) => only.clone(),
            (None, several) => {
                let why = format!(
                    "its first object does not say its bucket, which is one of {}. Write s3://bucket/key, or {{\"bucket\": …, \"key\": …}}.",
                    several.join(", ")
                );
                return Err(Problem::no_order(&self.at, why));
            }
        };
        let mut body = Map::new();
        body.insert("bucket".to_owned(), bucket.into());
        body.insert("manifest".to_owned(), self.at.to_string().into());
        body.insert("manifest_etag".to_owned(), self.etag.as_str().into());
        if let Some(limit) = max_cost {
            body.insert("max_cost_usd".to_owned(), json!(limit));
        }
        Request::parse(&Value::Object(body))
    }
}

/// The source bucket of a `manifest.json` of S3 Inventory; `None` if the content is something else.
fn inventory_of(content: &[u8]) -> Option<String> {
    let object = read_object(content).ok().filter(|object| object.contains_key("fileSchema"))?;
    Some(crate::problem::cut(object.get("sourceBucket")?.as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    fn file(key: &str) -> InboxFile {
        let at = S3Uri { bucket: "work".to_owned(), key: key.to_owned() };
        InboxFile { at, size: 7, etag: "e".to_owned(), sequencer: "1".to_owned() }
    }

    #[test]
    fn the_name_decides_the_kind_of_a_file() {
        for (key, order) in [
            ("inbox/a.json", Some(Order::Request)),
            ("inbox/2019/A.JSON", Some(Order::Request)),
            ("inbox/a.csv", Some(Order::Manifest)),
            ("inbox/a.jsonl.gz", Some(Order::Manifest)),
            ("inbox/a", Some(Order::Manifest)),
            ("inbox/", None),
            ("inbox/2019/", None),
            ("inbox/a.csv.answer.json", None),
            ("inbox/a.json.answer.json", None),
            ("inboxes/a.csv", None),
            ("restores/r/request.json", None),
        ] {
            assert_eq!(file(key).order("work"), order, "{key}");
            assert_eq!(file(key).order("archive"), None, "{key}");
            // The answer to any file is no order.
            let answer = file(&file(key).answer_name());
            assert_eq!(answer.order("work"), None, "{key}");
        }
    }

    #[test]
    fn each_write_of_a_file_is_an_order_of_its_own() {
        let first = file("inbox/a.csv");
        let again = InboxFile { sequencer: "2".to_owned(), ..first.clone() };
        let changed = InboxFile { etag: "f".to_owned(), ..first.clone() };
        let other = file("inbox/b.csv");
        let hashes = [&first, &again, &changed, &other].map(InboxFile::key_hash);
        assert_eq!(hashes.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        assert_eq!(first.key_hash(), first.clone().key_hash());
    }

    #[test]
    fn an_empty_file_and_a_too_large_request_are_refused() {
        let of = |size| InboxFile { size, ..file("inbox/a") };
        assert_eq!(of(0).refuse_by_size().unwrap_err().status, 422);
        assert_eq!(of(u64::MAX).refuse_by_size(), Ok(()));
        let body = br#"{"bucket": "archive", "keys": ["a"]}"#;
        assert!(of(MAX_BODY_BYTES as u64).request(body).is_ok());
        assert_eq!(of(MAX_BODY_BYTES as u64 + 1).request(body).unwrap_err().status, 413);
    }

    #[test]
    fn a_list_in_json_is_distinguished_from_a_request_by_its_content() {
        let is_list = |text: &str, more| file("inbox/a.json").is_manifest(Order::Request, text.as_bytes(), more);
        for list in [
            r#"{"Contents": [{"Key": "a", "Size": 1}], "RequestCharged": null}"#,
            "\u{feff}{\"Versions\": [{\"Key\": \"a\", \"VersionId\": \"v\", \"IsLatest\": true}]}",
            r#"[{"Key": "a"}]"#,
            r#"["a"]"#,
            "{\"Key\": \"a\"}\n{\"Key\": \"b\"}",
        ] {
            assert!(is_list(list, false), "{list}");
        }
        assert!(is_list(r#"{"Contents": [{"Key": "a"}, {"K"#, true));
        for other in [
            r#"{"bucket": "archive", "keys": ["a"]}"#,
            r#"{"bucket": "archive", "keys": ["a"], "Key": "a"}"#,
            r#"{"sourceBucket": "archive", "fileSchema": "Bucket, Key", "files": [{"key": "a"}]}"#,
            "no request",
            "archive,a",
            "",
            "{",
            "[]",
        ] {
            assert!(!is_list(other, false), "{other}");
        }
        assert!(file("inbox/a").is_manifest(Order::Manifest, b"", false));
    }

    #[test]
    fn a_manifest_becomes_a_request_with_a_limit_and_its_etag() {
        let of = |text: &str, buckets: &[&str], limit: Option<Usd>| {
            let buckets: Vec<_> = buckets.iter().map(|bucket| (*bucket).to_owned()).collect();
            file("inbox/a.csv").manifest(text.as_bytes(), false, &buckets, limit)
        };
        let ten = Usd::from_f64(10.0);
        let asked = of("two,a\ntwo,b\n", &["one", "two"], ten).unwrap();
        assert_eq!((asked.bucket.as_str(), asked.max_cost_usd), ("two", ten));
        let Source::Manifest { manifest, manifest_etag } = &asked.source else { panic!("{asked:?}") };
        assert_eq!((manifest.to_string().as_str(), manifest_etag.as_deref()), ("s3://work/inbox/a.csv", Some("e")));
        // OnInboxFile refuses a bucket that the stack does not have, not this function.
        assert_eq!(of("six,a", &["one"], None).unwrap().bucket, "six");
        // A row without a bucket.
        assert_eq!(of("\"a\"", &["one"], None).unwrap().bucket, "one");
        assert!(of("\"a\"", &["one", "two"], None).unwrap_err().detail.contains("one of one, two"));
        assert_eq!(of("A B,a", &["one"], None).unwrap_err().field.as_deref(), Some("bucket"));
        assert_eq!(of("non,sense,and,more", &["one"], None).unwrap_err().field.as_deref(), Some("manifest"));
    }

    #[test]
    fn a_list_of_keys_is_of_the_bucket_in_its_addresses_or_of_the_only_one() {
        let of = |name: &str, text: &str, buckets: &[&str]| {
            let buckets: Vec<_> = buckets.iter().map(|bucket| (*bucket).to_owned()).collect();
            let asked = file(name).manifest(text.as_bytes(), false, &buckets, None);
            asked.map(|asked| asked.bucket).map_err(|problem| problem.detail)
        };
        assert_eq!(of("inbox/a.txt", "2019/a.jpg\n", &["one"]).unwrap(), "one");
        assert_eq!(of("inbox/a", "s3://two/2019/a.jpg\n", &["one", "two"]).unwrap(), "two");
        assert!(of("inbox/a", "2019/a.jpg\n", &["one", "two"]).unwrap_err().contains("Write s3://bucket/key"));
        // In a `.txt` file a comma is part of a key, unless one of the archive buckets precedes it.
        assert_eq!(of("inbox/a.txt", "two,a.jpg\n", &["one"]).unwrap(), "one");
        assert_eq!(of("inbox/a.txt", "two,a.jpg\n", &["one", "two"]).unwrap(), "two");
        assert_eq!(of("inbox/a.TXT.gz", "a, b\n", &["one"]).unwrap(), "one");
        assert_eq!(of("inbox/a", "six,a.jpg\n", &["one"]).unwrap(), "six");
    }

    #[test]
    fn an_inventory_is_recognised_and_refused() {
        let inventory = json!({
            "sourceBucket": "archive", "destinationBucket": "arn:aws:s3:::lists", "fileFormat": "CSV",
            "fileSchema": "Bucket, Key", "files": [{"key": "a", "size": 1, "MD5checksum": "x"}],
        });
        let problem = file("inbox/manifest.json").request(inventory.to_string().as_bytes()).unwrap_err();
        assert!(problem.detail.contains(r#""bucket":"archive""#) && problem.status == 422, "{problem}");
        let request = json!({"bucket": "archive", "keys": ["a"], "fileSchema": "x"});
        let problem = file("inbox/a.json").request(request.to_string().as_bytes()).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("fileSchema"));
    }
}

//! Reads the `manifest.json` of S3 Inventory, which names the data files of a list and their columns.

use serde::Deserialize;
use serde_json::Value;

use crate::manifest::Columns;
use crate::{ManifestReader, Problem, S3Uri};

/// Maximum of bytes of a `manifest.json`. This is enough for some 50,000 data files, at about 200 bytes each.
pub const MAX_INVENTORY_BYTES: usize = 10 * 1024 * 1024;

/// A list of S3 Inventory: the `manifest.json` that S3 writes when its data files are complete.
///
/// A restore includes everything that is listed except delete markers. If the inventory is of all versions, it includes
/// each version, as S3 Batch Operations does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The data files, in S3's order.
    pub files: Vec<DataFile>,
    bucket: String,
    columns: Columns,
}

/// A data file, which lists objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Its address.
    pub at: S3Uri,
    /// Its size in bytes, packed.
    pub size: u64,
    /// The MD5 of the packed bytes, in hexadecimal.
    pub md5: String,
}

impl Inventory {
    /// Reads the `manifest.json` at this address, for a restore in this bucket. Fails with the problem that the caller
    /// must correct.
    ///
    /// The data files must be in the same bucket as the `manifest.json`, where S3 Inventory writes them. A manifest
    /// decides which objects are restored, but not which other buckets thaw reads.
    pub fn parse(at: &S3Uri, bucket: &str, bytes: &[u8]) -> Result<Self, Problem> {
        let refused = |why: String| Problem::manifest(at, None, why);
        if bytes.len() > MAX_INVENTORY_BYTES {
            return Err(refused(format!(
                "it has {} bytes; the limit is {MAX_INVENTORY_BYTES}. Configure an inventory for each of several prefixes.",
                bytes.len()
            )));
        }
        let manifest = match serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)) {
            // Only objects, because serde reads a JSON list as a struct too, field by field.
            Ok(Value::Object(object)) => serde_json::from_value::<Manifest>(Value::Object(object)),
            Ok(_) => Err(serde::de::Error::custom("it is no JSON object")),
            Err(why) => Err(why),
        };
        let manifest = manifest.map_err(|why| {
            let why = crate::problem::cut(why.to_string());
            refused(format!(
                "it is not what S3 Inventory writes under this name ({why}). Name the manifest.json of an inventory, or give another manifest another name."
            ))
        })?;
        let shown = |text: &str| crate::problem::cut(format!("{text:?}"));
        if manifest.file_format != "CSV" {
            return Err(refused(format!(
                "fileFormat: the inventory is {}, which thaw does not read. Ask S3 Inventory for CSV.",
                shown(&manifest.file_format)
            )));
        }
        if manifest.source_bucket != bucket {
            return Err(refused(format!(
                "sourceBucket: the inventory is of bucket {}, and this restore is of bucket {bucket:?}. Name an inventory of that bucket.",
                shown(&manifest.source_bucket)
            )));
        }
        // Only this field has the bucket as an ARN: arn:aws:s3:::name, with another partition than aws in some regions.
        if manifest.destination_bucket.rsplit(':').next() != Some(&at.bucket) {
            return Err(refused(format!(
                "destinationBucket: the data files are in {}, and this file is not. Name the manifest.json that S3 Inventory wrote there.",
                shown(&manifest.destination_bucket)
            )));
        }
        let columns = Columns::named(manifest.file_schema.split(','), true)
            .map_err(|why| refused(format!("fileSchema: {why}")))?;
        let files = (0..).zip(manifest.files).map(|(index, file): (usize, _)| {
            let at = S3Uri::parse(&format!("s3://{}/{}", at.bucket, file.key))
                .map_err(|_| refused(format!("files[{index}].key: {} is no key.", shown(&file.key))))?;
            Ok(DataFile { at, size: file.size, md5: file.md5 })
        });
        let files: Vec<_> = files.collect::<Result<_, Problem>>()?;
        if files.is_empty() {
            return Err(refused("files: it names no object. Wait for the next list of the inventory.".to_owned()));
        }
        Ok(Self { files, bucket: bucket.to_owned(), columns })
    }

    /// A reader for one of the data files. The caller must check that all of them together name an object.
    pub fn reader(&self, file: &DataFile) -> ManifestReader {
        ManifestReader::of_inventory(file.at.clone(), &self.bucket, self.columns.clone())
    }
}

/// The fields of `manifest.json` that a restore needs (User Guide, "Locating your inventory list").
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    source_bucket: String,
    destination_bucket: String,
    file_format: String,
    file_schema: String,
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    key: String,
    size: u64,
    #[serde(rename = "MD5checksum")]
    md5: String,
}

#[cfg(test)]
mod tests;

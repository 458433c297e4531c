//! Which objects a command means, as the API's request says it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Map, Value, json};
use thaw_core::{MAX_KEYS, ManifestReader, Problem, RequestedObject, S3Uri, first_bucket};

use crate::args::{How, Which};
use crate::error::Error;

/// Stands for the bucket in the address of a list that lies on this machine.
const THIS_MACHINE: &str = "this-machine";

/// The request for these objects, restored in this way.
pub fn request(which: &Which, how: &How) -> Result<Map<String, Value>, Error> {
    let mut request = objects(which)?;
    set(&mut request, how);
    Ok(request)
}

/// Sets the fields that the caller named.
pub fn set(request: &mut Map<String, Value>, how: &How) {
    let fields = [
        ("tier", how.tier.map(|tier| json!(tier))),
        ("days", how.days.map(|days| json!(days))),
        ("max_cost_usd", how.max_cost.map(|usd| json!(usd))),
        ("publish", how.publish.map(|when| json!({ "when": when }))),
    ];
    for (field, value) in fields {
        if let Some(value) = value {
            request.insert(field.to_owned(), value);
        }
    }
}

/// Which objects, as fields of a request.
pub fn objects(which: &Which) -> Result<Map<String, Value>, Error> {
    if let Some(file) = &which.from_file {
        return list(file, which.bucket.as_deref());
    }
    if let Some(manifest) = &which.manifest {
        let bucket = match &which.bucket {
            Some(bucket) => bucket.clone(),
            None => uri(manifest)?.0,
        };
        return Ok(in_bucket(bucket, "manifest", json!(manifest)));
    }
    if which.recursive { prefix(which) } else { keys(&which.uris) }
}

/// The beginning of each request: the bucket, and the field that says which of its objects.
fn in_bucket(bucket: String, field: &str, objects: Value) -> Map<String, Value> {
    Map::from_iter([("bucket".to_owned(), Value::from(bucket)), (field.to_owned(), objects)])
}

/// Objects that are named one by one.
pub fn keys(uris: &[String]) -> Result<Map<String, Value>, Error> {
    let mut named: Vec<(String, String)> = Vec::new();
    for text in uris {
        let (bucket, key) = uri(text)?;
        // A key may end in a slash, but who writes one mostly means a folder.
        if key.is_empty() || key.ends_with('/') {
            return Err(Error::Usage(format!(
                "{text} names no object. For all objects that begin so, add --recursive."
            )));
        }
        named.push((bucket, key));
    }
    let Some((bucket, _)) = named.first().cloned() else {
        return Err(Error::Usage(
            "Name objects, such as s3://my-archive/photos/2019/cat.jpg, or a list with --from-file.".to_owned(),
        ));
    };
    if let Some((other, _)) = named.iter().find(|(other, _)| *other != bucket) {
        return Err(Error::Usage(format!(
            "The objects are in {bucket} and in {other}. Use one command for each bucket."
        )));
    }
    let keys: Vec<String> = named.into_iter().map(|(_, key)| key).collect();
    Ok(in_bucket(bucket, "keys", json!(keys)))
}

fn prefix(which: &Which) -> Result<Map<String, Value>, Error> {
    let [text] = which.uris.as_slice() else {
        return Err(Error::Usage("--recursive takes one s3://bucket/prefix.".to_owned()));
    };
    let (bucket, prefix) = uri(text)?;
    let mut request = in_bucket(bucket, "prefix", json!(prefix));
    for (field, patterns) in [("include", &which.include), ("exclude", &which.exclude)] {
        if !patterns.is_empty() {
            request.insert(field.to_owned(), json!(patterns));
        }
    }
    for (field, time) in [("modified_after", which.modified_after), ("modified_before", which.modified_before)] {
        if let Some(time) = time {
            request.insert(field.to_owned(), json!(time));
        }
    }
    Ok(request)
}

/// The bucket and the rest of an `s3://` address. Nothing of it is decoded: `%20` is part of the key.
pub fn uri(text: &str) -> Result<(String, String), Error> {
    let rest = text.strip_prefix("s3://").filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let rest = rest.ok_or_else(|| {
        Error::Usage(format!("{text} is not an S3 address. Write s3://bucket/key, as aws s3 ls does."))
    })?;
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    Ok((bucket.to_owned(), key.to_owned()))
}

/// The objects of a list on this machine. The list is read as the API reads a manifest.
fn list(file: &Path, bucket: Option<&str>) -> Result<Map<String, Value>, Error> {
    let failed = |error: io::Error| Error::Usage(format!("{}: {error}", file.display()));
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
    } else {
        File::open(file).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(failed)?;
    }
    // The readers of lists know addresses in S3 only. The name decides how a .txt is read.
    let name = file.file_name().map_or_else(|| "stdin".to_owned(), |name| name.to_string_lossy().into_owned());
    let at = S3Uri { bucket: THIS_MACHINE.to_owned(), key: name };
    let wrong = |problem: Problem| Error::Usage(problem.detail.replace(&format!("s3://{THIS_MACHINE}/"), ""));
    let bucket = match bucket {
        Some(bucket) => bucket.to_owned(),
        None => first_bucket(&at, &bytes, false, &[]).map_err(wrong)?.ok_or_else(|| {
            Error::Usage(format!("{} does not name the bucket of its keys. Add --bucket.", file.display()))
        })?,
    };
    let mut reader = ManifestReader::new(at, &bucket);
    let mut objects: Vec<RequestedObject> = reader.push(&bytes).collect::<Result<_, _>>().map_err(wrong)?;
    objects.extend(reader.end().map_err(wrong)?);
    if objects.len() > MAX_KEYS {
        return Err(Error::Usage(format!(
            "{} has {} objects, and a request takes {MAX_KEYS}. Upload the list with aws s3 cp to an archive bucket or to inbox/ in the work bucket, and name it with --manifest.",
            file.display(),
            objects.len()
        )));
    }
    Ok(in_bucket(bucket, "keys", json!(objects)))
}

#[cfg(test)]
mod tests;

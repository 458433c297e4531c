use super::*;
use serde_json::json;

fn at() -> S3Uri {
    S3Uri::parse("s3://lists/inventory/archive/all/2026-11-22T01-00Z/manifest.json").unwrap()
}

fn manifest() -> Value {
    json!({
        "sourceBucket": "archive",
        "destinationBucket": "arn:aws:s3:::lists",
        "version": "2016-11-30",
        "creationTimestamp": "1795309200000",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, StorageClass, IntelligentTieringAccessTier",
        "files": [
            {"key": "inventory/archive/all/data/1 2+3.csv.gz", "size": 2_147, "MD5checksum": "f11166069f1990abeb9c97ace9cdfabc"},
            {"key": "inventory/archive/all/data/2.csv.gz", "size": 7, "MD5checksum": "d41d8cd98f00b204e9800998ecf8427e"},
        ],
    })
}

#[test]
fn it_may_have_fifty_thousand_files() {
    let mut many = manifest();
    let file = many["files"][0].clone();
    many["files"] = vec![file; 50_000].into();
    assert!((5_000_000..MAX_INVENTORY_BYTES).contains(&many.to_string().len()));
}

fn with(field: &str, value: Value) -> Value {
    let mut manifest = manifest();
    manifest[field] = value;
    manifest
}

fn parse(manifest: &Value) -> Result<Inventory, Problem> {
    Inventory::parse(&at(), "archive", manifest.to_string().as_bytes())
}

#[test]
fn its_files_are_where_it_is() {
    let files = parse(&manifest()).unwrap().files;
    assert_eq!(files.len(), 2);
    assert_eq!(files[0].at.to_string(), "s3://lists/inventory/archive/all/data/1 2+3.csv.gz");
    assert_eq!((files[0].size, &*files[0].md5), (2_147, "f11166069f1990abeb9c97ace9cdfabc"));
    assert!(parse(&with("destinationBucket", "arn:aws-cn:s3:::lists".into())).is_ok());
}

#[test]
fn every_version_that_is_listed_is_meant_and_no_delete_marker() {
    let inventory = parse(&manifest()).unwrap();
    let rows = concat!(
        r#""archive","2019/a+b.jpg","v2","true","false","7","2019-07-01T00:00:00.000Z","DEEP_ARCHIVE","""#,
        "\n",
        r#""archive","2019/a+b.jpg","v1","false","false","7","2018-07-01T00:00:00.000Z","STANDARD","""#,
        "\n",
        r#""archive","2019/c.jpg","v1","true","true","","2018-07-01T00:00:00.000Z","","""#,
        "\n",
        r#""archive","2019/a+b.jpg","","false","false","7","2017-07-01T00:00:00.000Z","GLACIER","""#,
        "\n",
    );
    let mut reader = inventory.reader(&inventory.files[0]);
    let asked: Vec<_> = reader.push(rows.as_bytes()).map(Result::unwrap).collect();
    let asked: Vec<_> = asked.iter().map(|asked| (&*asked.key, asked.version_id.as_deref().unwrap())).collect();
    assert_eq!(asked, [("2019/a b.jpg", "v2"), ("2019/a b.jpg", "v1"), ("2019/a b.jpg", "null")]);
    assert_eq!(reader.finish(), Ok(None));
}

#[test]
fn only_a_list_of_all_versions_means_the_null_version_by_an_empty_id() {
    let version = |schema: &str, row: &str| {
        let inventory = parse(&with("fileSchema", schema.into())).unwrap();
        let mut reader = inventory.reader(&inventory.files[0]);
        let asked = reader.push(row.as_bytes()).next().unwrap().unwrap();
        asked.version_id
    };
    let null = Some("null".to_owned());
    assert_eq!(version("Bucket, Key, VersionId, IsLatest, IsDeleteMarker", "archive,a,,true,false\n"), null);
    assert_eq!(version("Bucket, Key, VersionId, IsLatest", "archive,a,,false\n"), null);
    assert_eq!(version("Bucket, Key, VersionId", "archive,a,\n"), None);
    assert_eq!(version("Bucket, Key", "archive,a\n"), None);
}

#[test]
fn a_data_file_may_be_empty_and_its_rows_have_all_columns() {
    let inventory = parse(&with("fileSchema", "Bucket, Key".into())).unwrap();
    assert_eq!(inventory.reader(&inventory.files[1]).finish(), Ok(None));
    let mut reader = inventory.reader(&inventory.files[1]);
    let problem = reader.push(b"archive,a\narchive,b,v1\n").nth(1).unwrap().unwrap_err();
    assert!(problem.detail.contains("data/2.csv.gz, line 2: the line has 3 fields"), "{problem}");
    // A row that looks like names of columns is a row.
    let problem = inventory.reader(&inventory.files[1]).push(b"bucket,key\n").next().unwrap().unwrap_err();
    assert!(problem.detail.contains("is in bucket"), "{problem}");
}

#[test]
fn what_thaw_cannot_restore_from_is_refused_with_its_fix() {
    for (manifest, fix) in [
        (with("fileFormat", "Parquet".into()), "Ask S3 Inventory for CSV"),
        (with("fileFormat", "ORC".into()), "Ask S3 Inventory for CSV"),
        (with("sourceBucket", "other".into()), "of bucket \"other\", and this restore is of bucket \"archive\""),
        (with("destinationBucket", "arn:aws:s3:::others-lists".into()), "destinationBucket"),
        (with("fileSchema", "Bucket, Size".into()), "fileSchema: there is no column Key"),
        (with("files", json!([])), "names no object"),
        (with("files", json!([{"key": "", "size": 1, "MD5checksum": ""}])), "files[0].key"),
        (with("files", Value::Null), "Name the manifest.json of an inventory"),
        (json!(["archive"]), "no JSON object"),
    ] {
        let problem = parse(&manifest).unwrap_err();
        assert_eq!((problem.status, problem.field.as_deref()), (422, Some("manifest")), "{manifest}");
        assert!(problem.detail.contains(fix), "{manifest}: {problem}");
    }
    for (bytes, fix) in [
        (b"archive,a".to_vec(), "give another manifest another name"),
        (vec![b' '; MAX_INVENTORY_BYTES + 1], "the limit is"),
    ] {
        let problem = Inventory::parse(&at(), "archive", &bytes).unwrap_err();
        assert!(problem.detail.contains(fix), "{problem}");
    }
}

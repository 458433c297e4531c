//! Lists as people have them: each shape in each encoding, whole, and broken in three ways.

use std::io::Write;

use thaw_core::{ManifestReader, Problem, RequestedObject, S3Uri};

/// A list that is right, and what it names.
struct List {
    what: &'static str,
    /// The name of its file.
    name: &'static str,
    text: &'static str,
    /// Keys, or `key@version`.
    names: &'static [&'static str],
    /// The same with a mistake, the line of the mistake, and words of what is said of it.
    broken: [(&'static str, u64, &'static str); 3],
}

const LISTS: [List; 20] = [
    List {
        what: "a key a line",
        name: "keys.txt",
        text: "2019/cat.jpg\n2019/a b, c+d%20e.jpg\n\nü/[1].jpg\n",
        names: &["2019/cat.jpg", "2019/a b, c+d%20e.jpg", "ü/[1].jpg"],
        broken: [
            ("2019/cat.jpg\nhttps://archive.s3.amazonaws.com/2019/b.jpg\n", 2, "is a URL and not a key"),
            ("2019/cat.jpg\n2019/b.jpg \n", 2, "begins or ends with a blank"),
            ("2019/cat.jpg\t2019/b.jpg\n", 1, "has a tab. List one key a line"),
        ],
    },
    List {
        what: "a key a line, in a file that does not say so",
        name: "keys",
        text: "2019/cat.jpg\r\n2019/dog.jpg\r\n",
        names: &["2019/cat.jpg", "2019/dog.jpg"],
        broken: [
            ("2019/cat.jpg\n2019/a,b.jpg\n", 2, "End the file's name in .txt"),
            ("2019-07-01 12:30:00       1234 2019/cat.jpg\n", 1, "looks like a line of aws s3 ls"),
            ("key\n2019/cat.jpg\n", 1, "the first line names a column"),
        ],
    },
    List {
        what: "an address a line",
        name: "addresses.csv",
        text: "s3://archive/2019/cat.jpg\ns3://archive/2019/a, b+c.jpg\ns3://archive/%41",
        names: &["2019/cat.jpg", "2019/a, b+c.jpg", "%41"],
        broken: [
            ("s3://archive/a\ns3://other/b\n", 2, "\"b\" is in bucket \"other\""),
            ("s3://archive/a\ns3://archive\n", 2, "1 to 1024 bytes"),
            ("s3://archive/a\ns3://archive/s3://archive/b\n", 2, "is an address and not a key"),
        ],
    },
    List {
        what: "S3 Batch Operations",
        name: "jobs.csv",
        text: "archive,2019/cat.jpg\narchive,2019/a+b%2Cc.jpg\n",
        names: &["2019/cat.jpg", "2019/a b,c.jpg"],
        broken: [
            ("archive,a\nother,b\n", 2, "in bucket \"other\""),
            ("archive,a\narchive,100%\n", 2, "Write % as %25"),
            ("archive,a\narchive\n", 2, "1 field. It must have bucket,key"),
        ],
    },
    List {
        what: "S3 Batch Operations, with versions",
        name: "versions.csv",
        text: "\"archive\",\"2019/cat.jpg\",\"v1\"\r\n\"archive\",\"2019/dog.jpg\",\"\"\r\n",
        names: &["2019/cat.jpg@v1", "2019/dog.jpg"],
        broken: [
            ("\"archive\",\"a\n\"archive\",\"b\"\n", 1, "never closed"),
            ("archive,a\narchive,b,v,x\n", 2, "4 fields"),
            ("archive,a\narchive,s3://archive/b\n", 2, "is an address and not a key"),
        ],
    },
    List {
        what: "blanks after the commas",
        name: "blanks.csv",
        text: "archive, 2019/cat.jpg, v1\narchive,  \"2019/dog.jpg\"\n",
        names: &["2019/cat.jpg@v1", "2019/dog.jpg"],
        broken: [
            ("archive, a\narchive, b , v\n", 2, "begins or ends with a blank"),
            ("archive, a\narchive, \" b\"\n", 2, "begins or ends with a blank"),
            ("archive, a\narchive, \n", 2, "1 to 1024 bytes"),
        ],
    },
    List {
        what: "a result of Athena, its columns in another order",
        name: "athena.csv",
        text: "\"key\",\"bucket\"\n\"2019/cat.jpg\",\"archive\"\n\"2019/dog.jpg\",\"archive\"\n",
        names: &["2019/cat.jpg", "2019/dog.jpg"],
        broken: [
            ("\"key\",\"bucket\"\n\"a\",\"other\"\n", 2, "in bucket \"…\", and this restore is of bucket \"archive\""),
            ("\"key\",\"bucket\",\"Key\"\n\"a\",\"archive\",\"a\"\n", 1, "the column Key stands twice"),
            ("\"key\",\"bucket\"\n\"a\",\"archive\"\n\"b\"\n", 3, "1 field. It must have the 2 columns"),
        ],
    },
    List {
        what: "rows of an inventory under a line of names",
        name: "inventory.csv",
        text: "Bucket,Key,VersionId,IsLatest,IsDeleteMarker,Size,LastModifiedDate,StorageClass\n\
            archive,2019/cat.jpg,v2,true,false,7,2019-07-01T00:00:00.000Z,GLACIER\n\
            archive,2019/cat.jpg,v1,false,true,,2018-07-01T00:00:00.000Z,\n\
            archive,2019/cat.jpg,,false,false,7,2017-07-01T00:00:00.000Z,GLACIER\n",
        names: &["2019/cat.jpg@v2", "2019/cat.jpg@null"],
        broken: [
            ("Bucket,Size,StorageClass\narchive,7,GLACIER\n", 1, "there is no column Key. Add it"),
            ("Bucket,Key,Size\narchive,a\n", 2, "2 fields. It must have the 3 columns"),
            ("Bucket,Key,Size\narchive,a,1\narchive,%ff,1\n", 3, "not UTF-8 once it is decoded"),
        ],
    },
    List {
        what: "columns without a bucket",
        name: "columns.csv",
        text: "Key,Version_ID,Size\n2019/cat.jpg,v1,7\n2019/a+b.jpg,,7\n",
        names: &["2019/cat.jpg@v1", "2019/a b.jpg"],
        broken: [
            ("Key,Size\na,1\nb\n", 3, "1 field"),
            ("Key,Size,Size,key\na,1,1,a\n", 1, "the column Key stands twice"),
            ("Key,Size\na,1\n,1\n", 3, "1 to 1024 bytes"),
        ],
    },
    List {
        what: "keys as JSON lines",
        name: "keys.jsonl",
        text: "\"2019/cat.jpg\"\n\"2019/a+b%20\\u00fc.jpg\"\n",
        names: &["2019/cat.jpg", "2019/a+b%20ü.jpg"],
        broken: [
            ("\"a\"\n2019/b.jpg\n", 2, "stands where a key as a text, or an object, should begin"),
            ("\"a\"\n\"\\x\"\n", 2, "is not JSON"),
            ("\"a\"\n\"s3://archive/b\"\n", 2, "is an address and not a key"),
        ],
    },
    List {
        what: "JSON lines in thaw's spelling",
        name: "objects.jsonl",
        text: "{\"key\": \"2019/cat.jpg\", \"version_id\": \"v1\"}\n{\"bucket\": \"archive\", \"key\": \"b\"}\n",
        names: &["2019/cat.jpg@v1", "b"],
        broken: [
            ("{\"key\": \"a\"}\n{\"key\": \"b\", \"verison_id\": \"v\"}\n", 2, "unknown field \"verison_id\""),
            ("{\"key\": \"a\"}\n{\"key\": 7}\n", 2, "key is not a text"),
            ("{\"key\": \"a\"}\n{\"key\": \"b\" \"version_id\": \"v\"}\n", 2, "is not JSON (expected `,` or `}`)"),
        ],
    },
    List {
        what: "JSON lines in S3's spelling",
        name: "objects.json",
        text: "{\"Bucket\":\"archive\",\"Key\":\"2019/cat.jpg\",\"VersionId\":\"v1\",\"RestoreStatus\":{\"IsRestoreInProgress\":false}}\n\
            {\"Key\":\"b\",\"Size\":7,\"StorageClass\":\"GLACIER\",\"Owner\":{\"ID\":\"x\"}}\n",
        names: &["2019/cat.jpg@v1", "b"],
        broken: [
            ("{\"Key\":\"a\"}\n{\"Bucket\":\"other\",\"Key\":\"b\"}\n", 2, "\"b\" is in bucket \"other\""),
            ("{\"Key\":\"a\"}\n{\"Key\":\"b\",\"VersionId\":\"\"}\n", 2, "the version_id is empty"),
            ("{\"Key\":\"a\"}\n{\"Key\":\"b\",\"key\":\"c\"}\n", 2, "key stands twice"),
        ],
    },
    List {
        what: "aws s3api list-objects-v2 --query 'Contents[].Key'",
        name: "query.json",
        text: "[\n    \"2019/cat.jpg\",\n    \"2019/a+b.jpg\"\n]\n",
        names: &["2019/cat.jpg", "2019/a+b.jpg"],
        broken: [
            ("[\n    \"a\"\n    \"b\"\n]\n", 3, "a comma or the end of the list should be"),
            ("[\n    \"a\",\n    [\"b\"]\n]\n", 3, "a key as a text, or an object, should begin"),
            ("[\n    \"a\",\n    \"b\"\n", 4, "a bracket or a quotation mark is never closed"),
        ],
    },
    List {
        what: "a JSON list of objects",
        name: "list.json",
        text: "[{\"Key\": \"2019/cat.jpg\"}, {\"key\": \"b\", \"version_id\": null}]",
        names: &["2019/cat.jpg", "b"],
        broken: [
            ("[{\"Key\": \"a\"},\n{\"Size\": 1}]", 2, "object 2 of the list: \"{\\\"Size\\\": 1}\" has no key"),
            ("[{\"Key\": \"a\"},\n]", 2, "a key as a text, or an object, should begin"),
            ("[{\"Key\": \"a\"},\nnull]", 2, "a key as a text, or an object, should begin"),
        ],
    },
    List {
        what: "aws s3api list-objects-v2, with RestoreStatus",
        name: "listing.json",
        text: r#"{
    "Contents": [
        {
            "Key": "2019/cat.jpg",
            "LastModified": "2019-07-01T12:30:00+00:00",
            "ETag": "\"d41d8cd98f00b204e9800998ecf8427e\"",
            "ChecksumAlgorithm": [
                "CRC64NVME"
            ],
            "ChecksumType": "FULL_OBJECT",
            "Size": 7,
            "StorageClass": "GLACIER",
            "RestoreStatus": {
                "IsRestoreInProgress": false,
                "RestoreExpiryDate": "2019-07-04T00:00:00+00:00"
            }
        },
        {
            "Key": "2019/a+b.jpg",
            "Size": 7,
            "StorageClass": "DEEP_ARCHIVE"
        }
    ],
    "RequestCharged": null,
    "Prefix": "2019/"
}
"#,
        names: &["2019/cat.jpg", "2019/a+b.jpg"],
        broken: [
            (
                "{\n \"Contents\": [\n  {\"Key\": \"a\"}\n ],\n \"Name\": \"other\"\n}\n",
                4,
                "the listing is of bucket \"other\"",
            ),
            (
                "{\n \"Contents\": [\n  {\"Key\": \"a\"}\n ], \"EncodingType\": \"url\"\n}\n",
                4,
                "List without --encoding-type",
            ),
            ("{\n \"Contents\": [\n  {\"Key\": \"a\"},\n  {\"Key\": \"b\", \"Size\"}\n ]\n}\n", 4, "is not JSON"),
        ],
    },
    List {
        what: "aws s3api list-object-versions",
        name: "versions.json",
        text: r#"{
    "Versions": [
        {
            "ETag": "\"6805f2cfc46c0f04559748bb039d69ae\"",
            "Size": 7,
            "StorageClass": "GLACIER",
            "Key": "2019/cat.jpg",
            "VersionId": "v2",
            "IsLatest": true,
            "LastModified": "2019-07-01T12:30:00+00:00",
            "Owner": {
                "DisplayName": "me",
                "ID": "7009a8971cd538e11f6b6606438875e7c86c5b672f46db45460ddcd087d36c32"
            }
        },
        {
            "Key": "2019/cat.jpg",
            "VersionId": "null",
            "IsLatest": false
        }
    ],
    "DeleteMarkers": [
        {
            "Owner": {
                "DisplayName": "me",
                "ID": "7009a8971cd538e11f6b6606438875e7c86c5b672f46db45460ddcd087d36c32"
            },
            "Key": "2019/gone.jpg",
            "VersionId": "v9",
            "IsLatest": true,
            "LastModified": "2019-07-02T12:30:00+00:00"
        }
    ],
    "RequestCharged": null
}
"#,
        names: &["2019/cat.jpg@v2", "2019/cat.jpg@null"],
        broken: [
            (
                "{\"Versions\": [\n{\"Key\": \"a\", \"VersionId\": \"v\"},\n{\"Key\": \"b\", \"VersionId\": 7}]}",
                3,
                "object 2 of the list: version_id is not a text",
            ),
            ("{\"Versions\": [\n{\"Key\": \"a\"}],\n\"DeleteMarkers\": [\n{\"Key\": }]}", 4, "is not JSON"),
            ("{\"Versions\": [\n{\"Key\": \"a\"}]\n", 2, "never closed"),
        ],
    },
    List {
        what: "a listing in one line, with what comes before and after its list",
        name: "compact.json",
        text: "{\"ResponseMetadata\":{\"HTTPStatusCode\":200},\"IsTruncated\":true,\"Contents\":[{\"Key\":\"a\"},{\"Key\":\"b\"}],\
            \"Name\":\"archive\",\"MaxKeys\":1000,\"CommonPrefixes\":[{\"Prefix\":\"]}\\\"\"}],\"KeyCount\":2}",
        names: &["a", "b"],
        broken: [
            ("{\"Contents\":[{\"Key\":\"a\"}]]}", 1, "is not JSON"),
            ("{\"Contents\":[{\"Key\":\"a\"},{\"Key\":\"https://archive/b\"}]}", 1, "object 2 of the list: the key"),
            ("{\"Contents\":{\"Key\":\"a\"}}", 1, "has no key"),
        ],
    },
    List {
        what: "several listings after each other",
        name: "pages.json",
        text: "{\"Contents\": [{\"Key\": \"a\"}], \"IsTruncated\": true}\n{\"Contents\": [{\"Key\": \"b\"}], \"IsTruncated\": false}\n\
            {\"RequestCharged\": null, \"Prefix\": \"c\"}\n",
        names: &["a", "b"],
        broken: [
            ("{\"Contents\": [{\"Key\": \"a\"}]}\n, {\"Contents\": []}\n", 2, "should begin"),
            ("{\"Contents\": [{\"Key\": \"a\"}]}\n{\"Keys\": [\"b\"]}\n", 2, "has no key"),
            (
                "{\"Contents\": [{\"Key\": \"a\"}]}\n\n{\"contents\": [{\"Key\": \"b\"}]}\n",
                3,
                "knows no field \"contents\"",
            ),
        ],
    },
    List {
        what: "objects to be deleted",
        name: "delete.json",
        text: "{\"Objects\": [{\"Key\": \"a\", \"VersionId\": \"v1\"}, {\"Key\": \"b\"}], \"Quiet\": true}",
        names: &["a@v1", "b"],
        broken: [
            ("{\"Objects\": [\"a\",\n\"\"]}", 2, "1 to 1024 bytes"),
            ("{\"Objects\": [{\"Key\": \"a\"},\n{\"Key\": \"b\", \"size\": 1}]}", 2, "unknown field \"size\""),
            ("{\"Objects\": [{\"Key\": \"a\"}],\n\"Quiet\": true\n", 1, "never closed"),
        ],
    },
    List {
        what: "objects over several lines, as jq writes them",
        name: "jq.json",
        text: "{\n  \"Key\": \"a\",\n  \"IsDeleteMarker\": true\n}\n{\n  \"Key\": \"b\",\n  \"Size\": 7\n}\n",
        names: &["b"],
        broken: [
            ("{\n  \"Key\": \"a\"\n}\n{\n  \"Key\": \"b\",\n}\n", 4, "is not JSON"),
            ("{\n  \"Key\": \"a\"\n}\n}\n", 4, "should begin"),
            ("{\n  \"Key\": \"a\"\n}\n{\n  \"Bucket\": [],\n  \"Key\": \"b\"\n}\n", 4, "bucket is not a text"),
        ],
    },
];

type Encoding = (&'static str, fn(&str) -> Vec<u8>);

const ENCODINGS: [Encoding; 5] = [
    ("UTF-8", |text| text.as_bytes().to_vec()),
    ("UTF-8 with a mark", |text| [b"\xef\xbb\xbf", text.as_bytes()].concat()),
    ("UTF-16, little end first", |text| utf16(text, u16::to_le_bytes)),
    ("UTF-16, big end first", |text| utf16(text, u16::to_be_bytes)),
    ("UTF-16 in gzip", |text| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&utf16(text, u16::to_le_bytes)).unwrap();
        encoder.finish().unwrap()
    }),
];

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    ['\u{feff}']
        .into_iter()
        .chain(text.chars())
        .flat_map(|char| char.encode_utf16(&mut [0; 2]).to_vec())
        .flat_map(bytes)
        .collect()
}

fn reader(name: &str) -> ManifestReader {
    ManifestReader::new(S3Uri::parse(&format!("s3://lists/{name}")).unwrap(), "archive")
}

fn read(name: &str, bytes: &[u8], pieces_of: usize) -> Result<Vec<RequestedObject>, Problem> {
    let (mut reader, mut all) = (reader(name), Vec::new());
    for piece in bytes.chunks(pieces_of) {
        for asked in reader.push(piece) {
            all.push(asked?);
        }
    }
    all.extend(reader.finish()?);
    Ok(all)
}

/// The same by one reader for each object, which hands its place over.
fn read_by_many(name: &str, bytes: &[u8]) -> Result<Vec<RequestedObject>, Problem> {
    let (mut place, mut all) = (reader(name).place(), Vec::new());
    loop {
        let mut reader = reader(name).from(place.clone());
        let from = usize::try_from(place.first_byte()).unwrap();
        let mut pieces = bytes[from..].chunks(1);
        loop {
            let Some(piece) = pieces.next() else {
                all.extend(reader.finish()?);
                return Ok(all);
            };
            for asked in reader.push(piece) {
                all.push(asked?);
            }
            if !reader.is_before_its_place() && reader.place() != place {
                break;
            }
        }
        let kept = serde_json::to_string(&reader.place()).unwrap();
        assert!(kept.len() < 400, "a place is small: {kept}");
        place = serde_json::from_str(&kept).unwrap();
    }
}

fn shown(asked: &RequestedObject) -> String {
    let RequestedObject { key, version_id } = asked;
    version_id.as_ref().map_or_else(|| key.clone(), |version| format!("{key}@{version}"))
}

#[test]
fn lists_as_people_have_them_are_read_in_every_encoding() {
    for List { what, name, text, names, .. } in LISTS {
        for (encoding, encode) in ENCODINGS {
            let bytes = encode(text);
            for pieces_of in [1, 7, bytes.len()] {
                let read =
                    read(name, &bytes, pieces_of).unwrap_or_else(|problem| panic!("{what}, {encoding}: {problem}"));
                assert_eq!(read.iter().map(shown).collect::<Vec<_>>(), names, "{what}, {encoding}");
                assert_eq!(read_by_many(name, &bytes).unwrap(), read, "{what}, {encoding}");
            }
        }
    }
}

#[test]
fn a_broken_list_is_refused_at_its_line_in_words_that_say_how_to_mend_it() {
    for List { what, name, broken, .. } in LISTS {
        for (text, line, says) in broken {
            for (encoding, encode) in ENCODINGS {
                let bytes = encode(text);
                let problem = read(name, &bytes, bytes.len()).unwrap_err();
                let place = format!("manifest: s3://lists/{name}, line {line}: ");
                assert!(
                    problem.detail.starts_with(&place) && problem.detail.contains(says),
                    "{what}, {encoding}: {problem}"
                );
                assert_eq!(read(name, &bytes, 1).unwrap_err(), problem, "{what}, {encoding}");
                assert_eq!(read_by_many(name, &bytes).unwrap_err(), problem, "{what}, {encoding}");
            }
        }
    }
}

#[test]
fn text_that_is_cut_off_within_a_character_is_no_text() {
    for text in ["archive,a\narchive,ü", "\"a\"\n\"𝄞\"", "a\n𝄞"] {
        for (encoding, encode) in &ENCODINGS[2..4] {
            let bytes = encode(text);
            for cut in [1, 3] {
                let cut = &bytes[..bytes.len() - cut];
                assert!(read("list", cut, cut.len()).is_err(), "{text}, {encoding}");
            }
        }
    }
    // Without a mark it is not known to be UTF-16, and a key of every second byte is not meant.
    let problem = read("list", b"a\0r\0c\0\n\0", 8).unwrap_err();
    assert!(problem.detail.contains("has a control character"), "{problem}");
}

#[test]
fn what_a_file_has_before_its_first_object_is_hidden_and_what_thaw_says_is_not() {
    for (text, says) in [
        ("{\"secret\": 1}", "\"…\" has no key, and thaw knows no field \"…\". Write a key as a text, or {\"key\": …"),
        ("{\"key\": \"a\", \"secret\": 1}", "The fields are key, version_id and bucket"),
        (
            "secret,b",
            "\"…\" is in bucket \"…\", and this restore is of bucket \"archive\". Split the manifest by bucket.",
        ),
        ("archive,%secret", "the key \"…\" is not URL-encoded. Write % as %25"),
        ("archive,\"secret", "never closed in \"…\". Write a line break in a key as %0A."),
        ("https://secret", "the key \"…\" is a URL and not a key"),
    ] {
        let problem = read("list", text.as_bytes(), 1).unwrap_err();
        assert!(problem.detail.contains(says) && !problem.detail.contains("secret"), "{text}: {problem}");
    }
}

#[test]
fn the_first_key_that_can_be_read_in_two_ways_is_handed_over_once() {
    let second = |name: &str, text: &str| {
        let mut reader = reader(name);
        assert!(reader.push(text.as_bytes()).all(|asked| asked.is_ok()));
        reader.end().unwrap();
        let second = reader.take_second_reading().map(|second| (second.line, second.asked.key, second.other));
        assert_eq!(reader.take_second_reading(), None);
        second
    };
    let told = |line, key: &str, other: &str| Some((line, key.to_owned(), other.to_owned()));
    assert_eq!(second("list.txt", "a\nb%20c\nd%20e"), told(2, "b%20c", "b c"));
    assert_eq!(second("list.txt", "b+c"), told(1, "b+c", "b c"));
    assert_eq!(second("list.csv", "archive,a\narchive,b+c"), told(2, "b c", "b+c"));
    assert_eq!(second("list.json", "[\"a\", {\"Key\": \"100%25\"}]"), told(1, "100%25", "100%"));
    for (name, text) in [("list.txt", "a\n100%"), ("list.csv", "archive,a\narchive,ü"), ("list", "s3://archive/a%20b")]
    {
        assert_eq!(second(name, text), None, "{text}");
    }
}

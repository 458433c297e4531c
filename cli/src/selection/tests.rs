use clap::Parser;

use super::*;
use crate::args::{Args, Command};

fn asked(line: &[&str]) -> Result<Value, Error> {
    let args = Args::try_parse_from([&["thaw", "plan"], line].concat()).unwrap();
    let Command::Plan(plan) = args.command else { panic!("not a plan") };
    request(&plan.which, &plan.how).map(Value::Object)
}

#[test]
fn objects_are_named_as_in_the_aws_cli() {
    for (line, expected) in [
        (&["s3://b/k"][..], json!({"bucket": "b", "keys": ["k"]})),
        (&["s3://b/a b", "s3://b/x%20y"], json!({"bucket": "b", "keys": ["a b", "x%20y"]})),
        (&["s3://b/2019/", "-r"], json!({"bucket": "b", "prefix": "2019/"})),
        (&["s3://b", "--recursive"], json!({"bucket": "b", "prefix": ""})),
        (
            &[
                "s3://b/p",
                "-r",
                "--include",
                "*.jpg",
                "--include",
                "*.png",
                "--exclude",
                "tmp/",
                "--modified-after",
                "2024-01-01T00:00:00Z",
            ],
            json!({"bucket": "b", "prefix": "p", "include": ["*.jpg", "*.png"], "exclude": ["tmp/"], "modified_after": "2024-01-01T00:00:00Z"}),
        ),
        (
            &["--manifest", "s3://lists/cats.csv", "--bucket", "b"],
            json!({"bucket": "b", "manifest": "s3://lists/cats.csv"}),
        ),
        (&["--manifest", "s3://b/cats.csv"], json!({"bucket": "b", "manifest": "s3://b/cats.csv"})),
        (
            &["s3://b/k", "--tier", "bulk", "--days", "7", "--max-cost", "5", "--publish", "together"],
            json!({"bucket": "b", "keys": ["k"], "tier": "Bulk", "days": 7, "max_cost_usd": 5.0, "publish": {"when": "together"}}),
        ),
    ] {
        assert_eq!(asked(line).unwrap(), expected, "{line:?}");
    }
}

#[test]
fn what_does_not_fit_together_is_said_before_anything_is_sent() {
    for (line, words) in [
        (&[][..], "Name objects"),
        (&["b/k"], "b/k is not an S3 address"),
        (&["s3:///k"], "is not an S3 address"),
        (&["s3://b"], "add --recursive"),
        (&["s3://b/2019/"], "add --recursive"),
        (&["s3://b/k", "s3://c/k"], "The objects are in b and in c."),
        (&["s3://b/k", "s3://b/l", "-r"], "--recursive takes one"),
        (&["--from-file", "/no/such/file"], "/no/such/file: No such file"),
    ] {
        let error = asked(line).unwrap_err();
        assert!(matches!(error, Error::Usage(_)) && error.to_string().contains(words), "{line:?}: {error}");
    }
}

#[test]
fn a_list_on_this_machine_is_read_as_a_manifest() {
    let folder = std::env::temp_dir().join(format!("thaw-lists-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let keys = |keys: Value| Ok(json!({"bucket": "b", "keys": keys}));
    let utf16 = |text: &str| [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let many: String = (0..1_001).map(|number| format!("s3://b/{number}\n")).collect();
    for (name, content, options, expected) in [
        (
            "keys.txt",
            b"2019/a b.jpg\n2019/c.jpg\n".to_vec(),
            &["--bucket", "b"][..],
            keys(json!([{"key": "2019/a b.jpg"}, {"key": "2019/c.jpg"}])),
        ),
        ("addresses", b"s3://b/a\ns3://b/c".to_vec(), &[], keys(json!([{"key": "a"}, {"key": "c"}]))),
        (
            "list.csv",
            b"b,a%20b\nb,c,v1\n".to_vec(),
            &[],
            keys(json!([{"key": "a b"}, {"key": "c", "version_id": "v1"}])),
        ),
        ("powershell.csv", utf16("Key,Bucket\r\na,b\r\n"), &[], keys(json!([{"key": "a"}]))),
        (
            "listing.json",
            br#"{"Contents": [{"Key": "a", "Size": 1}]}"#.to_vec(),
            &["--bucket", "b"],
            keys(json!([{"key": "a"}])),
        ),
        ("nobody.txt", b"a\n".to_vec(), &[], Err("does not name the bucket of its keys. Add --bucket.")),
        ("other.csv", b"b,a\nc,a\n".to_vec(), &["--bucket", "b"], Err("other.csv")),
        ("empty.csv", vec![], &["--bucket", "b"], Err("names no object")),
        ("many", many.into_bytes(), &[], Err("has 1001 objects, and a request takes 1000. Upload the list")),
    ] {
        let file = folder.join(name);
        std::fs::write(&file, content).unwrap();
        let read = asked(&[&["--from-file", file.to_str().unwrap()], options].concat());
        match (read, expected) {
            (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{name}"),
            (Err(error), Err(words)) => {
                let text = error.to_string();
                assert!(text.contains(words) && !text.contains(THIS_MACHINE), "{name}: {text}");
            }
            (read, expected) => panic!("{name}: {read:?} is not {expected:?}"),
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

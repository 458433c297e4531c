//! Which spelling of a path shows which key: S3 and CloudFront as people have measured them.
//!
//! - measured through CloudFront and at S3 itself: hackmd.io/@jdno/r13gNdn82 (rust-lang/crates.io#4891), keys with a `+` and
//!   with a blank in three spellings;
//! - measured at S3's REST endpoint: yetanothermichael.com, "The Problem With Plus Signs and S3 Objects"; imgix/js-core#88;
//!   servo/rust-url#882; nginx/nginx-s3-gateway#77 (the form that S3's console shows);
//! - reported of the website endpoint, which takes a `+` for itself: ostreedev/ostree#2139;
//! - percent-encoding in general is RFC 3986: what is escaped once is the character, whatever the case of the digits.
//!
//! A distribution whose origin may not list the bucket answers 403 where the table has 404.

use super::*;
use crate::model::{ObjectRef, PutRequest, Sim, StorageClass};
use jiff::Timestamp;

/// The key in the bucket, the path that a viewer asks for, and the status by way of the REST and of the website endpoint.
const TABLE: [(&str, &str, u16, u16); 64] = [
    // A plus.
    ("a+b.txt", "/a+b.txt", 404, 200),
    ("a+b.txt", "/a%2Bb.txt", 200, 200),
    ("a+b.txt", "/a%2bb.txt", 200, 200),
    ("a+b.txt", "/a%20b.txt", 404, 404),
    ("a+b.txt", "/a%252Bb.txt", 404, 404),
    ("a+b.txt", "/ab.txt", 404, 404),
    ("+", "/+", 404, 200),
    ("+", "/%2B", 200, 200),
    ("+/+", "/+/+", 404, 200),
    ("+/+", "/%2B/%2B", 200, 200),
    ("+/+", "/%2B/+", 404, 200),
    ("a++b", "/a++b", 404, 200),
    ("a++b", "/a%2B%2Bb", 200, 200),
    ("a++b", "/a+%2Bb", 404, 200),
    // A version number, as in crates.io's files.
    ("libgit2-sys-0.12.25+1.3.0.crate", "/libgit2-sys-0.12.25+1.3.0.crate", 404, 200),
    ("libgit2-sys-0.12.25+1.3.0.crate", "/libgit2-sys-0.12.25%2B1.3.0.crate", 200, 200),
    ("libgit2-sys-0.12.25+1.3.0.crate", "/libgit2-sys-0.12.25%201.3.0.crate", 404, 404),
    ("libgit2-sys-0.12.25 1.3.0.crate", "/libgit2-sys-0.12.25+1.3.0.crate", 200, 404),
    ("libgit2-sys-0.12.25 1.3.0.crate", "/libgit2-sys-0.12.25%2B1.3.0.crate", 404, 404),
    ("libgit2-sys-0.12.25 1.3.0.crate", "/libgit2-sys-0.12.25%201.3.0.crate", 200, 200),
    // A blank.
    ("a b.txt", "/a%20b.txt", 200, 200),
    ("a b.txt", "/a+b.txt", 200, 404),
    ("a b.txt", "/a%2Bb.txt", 404, 404),
    ("a b.txt", "/a%2520b.txt", 404, 404),
    ("a b.txt", "/ab.txt", 404, 404),
    ("n ginx.conf", "/n+ginx.conf", 200, 404),
    ("n ginx.conf", "/n%20ginx.conf", 200, 200),
    // Several: all spelled alike, or not.
    ("a b c", "/a%20b%20c", 200, 200),
    ("a b c", "/a+b+c", 200, 404),
    ("a b c", "/a+b%20c", 200, 404),
    ("a b c", "/a%20b+c", 200, 404),
    ("a  b", "/a++b", 200, 404),
    ("a  b", "/a%20+b", 200, 404),
    ("my dir/my file", "/my%20dir/my%20file", 200, 200),
    ("my dir/my file", "/my+dir/my+file", 200, 404),
    ("my dir/my file", "/my+dir/my%20file", 200, 404),
    // Both.
    ("a b+c", "/a%20b%2Bc", 200, 200),
    ("a b+c", "/a+b%2Bc", 200, 404),
    ("a b+c", "/a%20b+c", 404, 200),
    ("a b+c", "/a+b+c", 404, 404),
    ("a b+c", "/a%2Bb%20c", 404, 404),
    // What looks like an escape is a part of the name.
    ("a%2Bb", "/a%252Bb", 200, 200),
    ("a%2Bb", "/a%2Bb", 404, 404),
    ("a%2Bb", "/a+b", 404, 404),
    ("a%20b", "/a%2520b", 200, 200),
    ("a%20b", "/a%20b", 404, 404),
    ("a%20b", "/a+b", 404, 404),
    ("100%", "/100%25", 200, 200),
    ("100%+1", "/100%25%2B1", 200, 200),
    ("100%+1", "/100%25+1", 404, 200),
    // Other characters, escaped or not.
    ("ü.txt", "/%C3%BC.txt", 200, 200),
    ("ü.txt", "/%c3%bc.txt", 200, 200),
    ("ü.txt", "/u%CC%88.txt", 404, 404),
    ("ü b", "/%C3%BC+b", 200, 404),
    ("it's (1)", "/it's%20(1)", 200, 200),
    ("it's (1)", "/it%27s+%281%29", 200, 404),
    ("a,b;c=d@e&f$g", "/a,b;c=d@e&f$g", 200, 200),
    ("a,b;c=d@e&f$g", "/a%2Cb%3Bc%3Dd%40e%26f%24g", 200, 200),
    ("q?x", "/q%3Fx", 200, 200),
    ("q?x", "/q?x", 404, 404),
    ("#tag", "/%23tag", 200, 200),
    ("~home/x", "/~home/x", 200, 200),
    ("~home/x", "/%7Ehome/x", 200, 200),
    ("a", "/%61", 200, 200),
];

#[test]
fn a_path_shows_the_key_that_it_spells() {
    let now: Timestamp = "2026-03-02T12:00:00Z".parse().expect("it is a time");
    let mut sim = Sim::default();
    sim.create_bucket("b", false);
    let distribution = |id: &str, domain_name: &str| DistributionConfig {
        id: Some(id.to_owned()),
        origins: vec![Origin { id: "bucket".to_owned(), domain_name: domain_name.to_owned(), ..Origin::default() }],
        ..DistributionConfig::default()
    };
    for (id, domain_name) in
        [("REST", "b.s3.us-east-1.amazonaws.com"), ("WEBSITE", "b.s3-website-us-east-1.amazonaws.com")]
    {
        sim.put_distribution(distribution(id, domain_name), now).expect("it is valid");
    }
    let mut at = now;
    for (key, path, rest, website) in TABLE {
        // Nothing is in a cache any more.
        at += jiff::SignedDuration::from_hours(48);
        sim.put_object(PutRequest::new("b", key, StorageClass::Standard, key), at).expect("there is b");
        for (id, status) in [("REST", rest), ("WEBSITE", website)] {
            let answer = sim.serve(id, path, at).expect("there is such a distribution");
            assert_eq!(answer.status, status, "{path} for {key:?} by {id}");
        }
        sim.delete_object(&ObjectRef::new("b", key), at).expect("it is there");
    }
}

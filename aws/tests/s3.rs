//! What the client of S3 makes of answers, from their bytes on.

use thaw_aws::{Archive, Clients};
use thaw_core::{CallError, Facts, Missing, ObjectId, RestoreAnswer, S3Uri, Tier};
use thaw_steps::ports::{ListFrom, Page, PortError, ReadArchive, RequestRestores};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// An S3 that gives the answer of whichever of these prefixes the request's first line begins with.
async fn answering(answers: Vec<(&'static str, Vec<u8>)>) -> Archive {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).await.unwrap();
                request.extend(&piece[..read]);
            }
            let line = String::from_utf8_lossy(&request);
            let answer = answers.iter().find(|(begin, _)| line.starts_with(begin));
            let (_, answer) = answer.unwrap_or_else(|| panic!("nobody expected {line}"));
            stream.write_all(answer).await.unwrap();
        }
    });
    let clients = Clients::read(|name| match name {
        "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
        "AWS_REGION" => Some("us-east-1".to_owned()),
        _ => None,
    });
    clients.unwrap().archive()
}

/// An answer with these headers, one a line, and this body.
fn http(status: &str, headers: &[u8], body: &str) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    [
        b"HTTP/1.1 ",
        status.as_bytes(),
        b"\r\nconnection: close\r\n",
        length.as_bytes(),
        headers,
        b"\r\n",
        body.as_bytes(),
    ]
    .concat()
}

fn error(status: &str, code: &str, message: &str) -> Vec<u8> {
    http(
        status,
        b"content-type: application/xml\r\n",
        &format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"),
    )
}

fn object(version: Option<&str>) -> ObjectId {
    ObjectId { bucket: "archive".to_owned(), key: "a".to_owned(), version: version.map(str::to_owned) }
}

/// What a HEAD means that is answered so, and whose GET is answered so.
async fn head(head: Vec<u8>, get: Vec<u8>, version: Option<&str>) -> Result<Facts, PortError> {
    answering(vec![("HEAD /archive/a", head), ("GET /archive/a", get)]).await.head(&object(version)).await
}

#[tokio::test]
async fn headers_that_are_not_utf_8_hide_none_of_the_others() {
    let headers = b"content-disposition: attachment; filename=\"gr\xfc\xdfe.pdf\"\r\nx-amz-meta-title: gr\xfcn\r\nx-amz-storage-class: GLACIER\r\nx-amz-restore: ongoing-request=\"true\"\r\ncontent-length: 7\r\n";
    let facts = head(http("200 OK", headers, ""), Vec::new(), None).await.unwrap();
    let Facts::Found(head) = facts else { panic!("{facts:?}") };
    assert_eq!((head.storage_class.as_deref(), head.size), (Some("GLACIER"), 7));
    assert_eq!(head.restore.as_deref(), Some("ongoing-request=\"true\""));
}

#[tokio::test]
async fn a_description_that_cannot_be_read_is_one_objects_own() {
    let facts = head(http("200 OK", b"last-modified: yesterday\r\n", ""), Vec::new(), None).await.unwrap();
    let Facts::Missing(Missing::Unreadable { says }) = facts else { panic!("{facts:?}") };
    assert!(says.to_lowercase().contains("last-modified"), "{says}");
}

#[tokio::test]
async fn a_key_of_white_space_is_one_objects_own() {
    for key in [" ", "\r", "\u{2003}\n"] {
        let object = ObjectId { key: key.to_owned(), ..object(None) };
        let facts = answering(Vec::new()).await.head(&object).await.unwrap();
        let Facts::Missing(Missing::Unreadable { says }) = facts else { panic!("{facts:?}") };
        assert!(says.contains("white space"), "{says}");
    }
}

#[tokio::test]
async fn a_get_tells_what_a_head_without_a_body_is_about() {
    let bare = |status: &str| http(status, b"", "");
    let sse_c = "The object was stored using a form of Server Side Encryption.";
    let facts = head(bare("400 Bad Request"), error("400 Bad Request", "InvalidRequest", sse_c), None).await.unwrap();
    let Facts::Missing(Missing::Refused { says }) = facts else { panic!("{facts:?}") };
    assert!(says.contains(sse_c), "{says}");
    let invalid = error("400 Bad Request", "InvalidArgument", "Invalid version id specified");
    let facts = head(bare("400 Bad Request"), invalid, Some("no version")).await.unwrap();
    assert_eq!(facts, Facts::Missing(Missing::Version));
    let facts = head(bare("403 Forbidden"), error("403 Forbidden", "AccessDenied", "no"), None).await.unwrap();
    assert_eq!(facts, Facts::Missing(Missing::Denied));
    let facts = head(bare("404 Not Found"), error("404 Not Found", "NoSuchKey", "no"), None).await.unwrap();
    assert_eq!(facts, Facts::Missing(Missing::Key));
    for (status, code, trouble) in [
        ("400 Bad Request", "ExpiredToken", CallError::Unavailable),
        ("403 Forbidden", "RequestTimeTooSkewed", CallError::Unavailable),
        ("404 Not Found", "NoSuchBucket", CallError::WrongBucket),
    ] {
        let failed = head(bare(status), error(status, code, "no"), Some("v1")).await.unwrap_err();
        assert_eq!(failed.trouble, Some(trouble), "{failed}");
        assert!(failed.to_string().contains(code), "{failed}");
    }
}

#[tokio::test]
async fn a_bucket_in_another_region_is_named_with_its_region() {
    let elsewhere = http("301 Moved Permanently", b"x-amz-bucket-region: eu-west-1\r\n", "");
    let failed = head(elsewhere.clone(), Vec::new(), None).await.unwrap_err();
    assert_eq!(failed.trouble, Some(CallError::WrongBucket), "{failed}");
    assert!(failed.to_string().ends_with("the bucket is in eu-west-1"), "{failed}");
    let failed =
        answering(vec![("GET /archive", elsewhere)]).await.list("archive", "", &ListFrom::after("")).await.unwrap_err();
    assert!(failed.trouble == Some(CallError::WrongBucket) && failed.to_string().contains("eu-west-1"), "{failed}");
}

#[tokio::test]
async fn a_yes_to_a_restore_is_one_whatever_its_headers_say() {
    let yes = http(
        "202 Accepted",
        b"x-amz-request-charged: gr\xfcn\r\nx-amz-restore-output-path: \xfc\r\ncontent-length: 0\r\n",
        "",
    );
    let archive = answering(vec![("POST /archive/a", yes)]).await;
    assert_eq!(archive.restore(&object(None), Some(3), Tier::Bulk).await.unwrap(), RestoreAnswer::Accepted);
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_told_from_one_whose_key_may_not_be_used() {
    let read = async |answer: Vec<u8>| {
        let at = S3Uri::parse("s3://archive/list.csv").unwrap();
        let read = answering(vec![("GET /archive/list.csv", answer)]).await.read(&at, 0, None).await;
        read.map(|piece| piece.is_some()).map_err(|failed| failed.trouble)
    };
    let denied =
        "User: arn:aws:sts::111122223333:assumed-role/r/f is not authorized to perform: kms:Decrypt on the resource";
    for (status, code, message, expected) in [
        ("403 Forbidden", "AccessDenied", "Access Denied", Ok(false)),
        ("404 Not Found", "NoSuchKey", "", Ok(false)),
        ("404 Not Found", "NoSuchBucket", "", Ok(false)),
        ("403 Forbidden", "AccessDenied", denied, Err(Some(CallError::KeyDenied))),
        ("400 Bad Request", "KMS.DisabledException", "", Err(Some(CallError::KeyDenied))),
        ("403 Forbidden", "RequestTimeTooSkewed", "", Err(Some(CallError::Unavailable))),
        ("400 Bad Request", "ExpiredToken", "", Err(Some(CallError::Unavailable))),
    ] {
        assert_eq!(read(error(status, code, message)).await, expected, "{code} {message}");
    }
}

#[tokio::test]
async fn a_page_without_a_key_says_where_the_listing_goes_on() {
    let page = |rest: &str| {
        let page = format!("<ListBucketResult><EncodingType>url</EncodingType>{rest}</ListBucketResult>");
        answering(vec![("GET /archive", http("200 OK", b"content-type: application/xml\r\n", &page))])
    };
    let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t+/=</NextContinuationToken>";
    let list = async |rest: &str| page(rest).await.list("archive", "", &ListFrom::after("")).await;
    let empty = Page { objects: Vec::new(), next: Some(ListFrom::Token("t+/=".to_owned())) };
    assert_eq!(list(more).await.unwrap(), empty);
    let with_a_key = list(&format!("{more}<Contents><Key>a+b</Key></Contents>")).await.unwrap();
    assert_eq!(with_a_key.next, Some(ListFrom::after("a b")));
    assert_eq!(list("<IsTruncated>false</IsTruncated>").await.unwrap(), Page::default());
    let lost = list("<IsTruncated>true</IsTruncated>").await.unwrap_err();
    assert!(lost.trouble.is_none() && lost.says.contains("does not say how it goes on"), "{lost}");
}

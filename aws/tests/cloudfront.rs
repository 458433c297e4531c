//! What the client of CloudFront makes of refusals, from their bytes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use thaw_aws::{Cdn, Clients};
use thaw_core::CallError;
use thaw_steps::ports::{CreateInvalidations, Invalidation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TAKEN: (&str, &str) = (
    "201 Created",
    "<Invalidation xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Id>I1</Id><Status>InProgress</Status>\
     <CreateTime>2026-11-22T10:00:00Z</CreateTime><InvalidationBatch><Paths><Quantity>1</Quantity><Items><Path>/a</Path>\
     </Items></Paths><CallerReference>r</CallerReference></InvalidationBatch></Invalidation>",
);

fn refusal(code: &str) -> (&'static str, String) {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>wait</Message></Error>");
    let body =
        format!("<ErrorResponse xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\">{error}</ErrorResponse>");
    ("400 Bad Request", body)
}

/// A CloudFront that refuses so many calls with these codes and takes all others, and how many calls it has had.
async fn refusing(codes: Vec<&'static str>) -> (Cdn, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request: Vec<u8> = Vec::new();
            while !request.windows(20).any(|end| end == b"</InvalidationBatch>") {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).await.unwrap();
                request.extend(&piece[..read]);
            }
            let nth = counted.fetch_add(1, Ordering::SeqCst);
            let (status, body) = codes.get(nth).map_or((TAKEN.0, TAKEN.1.to_owned()), |code| refusal(code));
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    let clients = Clients::read(|name| match name {
        "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
        "AWS_REGION" => Some("us-east-1".to_owned()),
        _ => None,
    });
    (clients.unwrap().cdn(), calls)
}

#[tokio::test]
async fn either_refusal_of_the_quota_is_asked_again_at_the_pace() {
    let (cdn, calls) = refusing(vec!["TooManyInvalidationsInProgress", "Throttling"]).await;
    let taken = cdn.invalidate("E1", &["/a".to_owned()], "r").await.unwrap();
    assert_eq!(taken, Invalidation::Accepted { id: "I1".to_owned(), completed: false });
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn who_has_no_patience_is_told_what_cloudfront_said_and_the_sdk_asks_no_more() {
    for (code, trouble) in
        [("TooManyInvalidationsInProgress", CallError::TooManyInvalidations), ("Throttling", CallError::Throttled)]
    {
        let (cdn, calls) = refusing(vec![code; 9]).await;
        let error = cdn.patient(Duration::ZERO).invalidate("E1", &["/a".to_owned()], "r").await.unwrap_err();
        assert_eq!(error.trouble, Some(trouble), "{error}");
        assert_eq!(calls.load(Ordering::SeqCst), 1, "{code}");
    }
}

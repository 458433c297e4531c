//! CloudFormation is answered over a real connection, with the very bytes that its URL is signed for.

use std::time::{Duration, Instant};

use aws_smithy_async::rt::sleep::{AsyncSleep, TokioSleep};
use serde_json::{Value, json};
use thaw_aws::{Clients, Https};
use thaw_custom_resource::{Clock, CustomResource, Event, Outcome, Properties, Reply, Responder, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The system's time.
struct RealTime(Instant);

impl Clock for RealTime {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
    async fn sleep(&self, duration: Duration) {
        TokioSleep::new().sleep(duration).await;
    }
}

struct Greeting;

impl CustomResource for Greeting {
    fn physical_id(&self, _: &Properties, _: Option<&str>) -> String {
        "greeting".to_owned()
    }
    async fn handle(&self, _: &Event<'_>) -> Reply {
        Reply::done([("Greeting", "hello".to_owned())])
    }
}

/// As on the local stack.
fn responder() -> Responder<Https, RealTime> {
    let clients = Clients::read(|name| match name {
        "AWS_ENDPOINT_URL" => Some("http://127.0.0.1:9".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "THAW_LOCAL" => Some("test".to_owned()),
        "AWS_REGION" => Some("us-east-1".to_owned()),
        _ => None,
    });
    let clients = clients.unwrap();
    Responder::new(clients.https(), RealTime(Instant::now()), clients.answerable_hosts())
}

fn event(listener: &TcpListener) -> Value {
    let url = format!("http://{}/arn%3Aaws%7Cx?Signature=a%2Bb", listener.local_addr().unwrap());
    json!({"RequestType": "Create", "RequestId": "r", "StackId": "s", "LogicalResourceId": "l", "ResponseURL": url})
}

/// Takes a request from the next connection, and answers with this status or breaks off.
async fn take(listener: &TcpListener, status: Option<&str>) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (mut request, mut piece) = (String::new(), [0; 4096]);
    // The body is one JSON object.
    while !request.ends_with("}}") {
        let read = stream.read(&mut piece).await.unwrap();
        request.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    if let Some(status) = status {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
    request
}

#[tokio::test]
async fn cloudformation_is_answered_over_a_connection_also_at_the_third_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let event = event(&listener);
    let server = tokio::spawn(async move {
        let mut requests = Vec::new();
        for status in [Some("503 Slow Down"), None, Some("200 OK")] {
            requests.push(take(&listener, status).await);
        }
        requests
    });
    let outcome = responder().respond(&event, &Greeting, Duration::from_secs(60)).await;
    assert_eq!(outcome, Outcome::Answered(Status::Success));
    let requests = server.await.unwrap();
    assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    let head: Vec<_> = head.split("\r\n").collect();
    assert_eq!(head[0], "PUT /arn%3Aaws%7Cx?Signature=a%2Bb HTTP/1.1");
    let length = format!("content-length: {}", body.len());
    for header in ["content-type: ", &length] {
        assert_eq!(head.iter().filter(|line| **line == header).count(), 1, "{header:?} of {head:?}");
    }
    assert!(!head.iter().any(|line| line.starts_with("transfer-encoding")), "{head:?}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["Data"], json!({"Greeting": "hello"}));
}

#[tokio::test]
async fn a_port_at_which_nobody_listens_is_tried_until_the_time_is_up() {
    let event = event(&TcpListener::bind("127.0.0.1:0").await.unwrap());
    let outcome = responder().respond(&event, &Greeting, Duration::from_secs(2)).await;
    let Outcome::Undelivered(why) = outcome else { panic!("{outcome:?}") };
    assert!(!why.contains("Signature") && !why.contains("arn"), "{why}");
}

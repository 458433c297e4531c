//! What holds for every input, however it came about: the properties here and the targets in `fuzz/` feed them.
//!
//! A law panics when it is broken.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use thaw_core::{Distribution, PathRules, Request, RestoreId};
use thaw_sim::Sim;
use thaw_sim::cdn::{
    Behavior, CustomErrorResponse, DistributionConfig, Function, HoldingPage, InvalidationRequest, Origin, OriginGroup,
    Rewrite, to_key,
};
use thaw_sim::model::{ObjectRef, PutRequest, StorageClass};
use thaw_sim::ports::Aws;
use thaw_steps::api::http::{self, Response};
use thaw_steps::api::{cancel_restore, create_restore, get_restores};
use thaw_steps::events::queue::{QueueBatch, QueueResponse};
use thaw_steps::events::{on_inbox_file, on_restore_completed, on_restore_initiated};
use thaw_steps::ports::{ReadDistributions, WorkFiles};
use thaw_steps::testing::memory::{
    MemoryDeadLetters, MemoryEvents, MemoryExecutions, MemoryFiles, MemoryJobs, MemoryLedger,
};
use thaw_steps::{CurrentVersions, Settings};

/// The bucket of all laws.
pub const BUCKET: &str = "archive";

/// Another bucket that a distribution may show.
const OTHER: &str = "other";

/// The bucket with the inbox.
const WORK: &str = "work";

/// When everything happens.
pub fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

/// Runs what waits for nothing.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The paths of a key are those under which an edge shows it: CloudFront takes each of them, the edge shows the object
/// under each, and where else it shows the object one of them covers it. A wildcard covers no more than it says, whichever
/// bucket shows it.
///
/// The edge is the simulator's, which decodes paths and asks S3 for keys, and knows nothing of how a key becomes a path.
pub fn paths(config: DistributionConfig, key: &str) {
    let index = config.directory_index.clone().unwrap_or_default();
    // Which behaviour serves a path that stands for another is not documented, or the function's business; nor is it
    // documented whether patterns are compared with a path before or after it is decoded.
    let several = !config.behaviors.is_empty();
    let unsure = several && (!index.is_empty() || thaw_core::encode_path(key) != key);
    let has_root = several && !config.default_root_object.is_empty();
    let mut sim = Sim::default();
    sim.create_bucket(BUCKET, false);
    sim.create_bucket(OTHER, false);
    sim.put_object(PutRequest::new(BUCKET, key, StorageClass::Standard, "the object"), now()).unwrap();
    let Ok(id) = sim.put_distribution(config.clone(), now()) else { return };
    let aws = Aws::new(sim, now());
    let found = run(aws.distributions(BUCKET, &[])).unwrap();
    let Some(distribution) = found.shown.first() else { return };
    let with_index = Distribution { rules: PathRules::of_index(&index), ..distribution.clone() };
    let shown = with_index.paths_of(BUCKET, key);
    let shows = |path: &str| {
        let answer = aws.with(|sim, now| sim.serve(&id, path, now)).unwrap();
        answer.status == 200 && answer.body == "the object"
    };
    let is_covered = |path: &str| shown.paths.iter().any(|item| covers(item, path));

    if !shown.paths.is_empty() {
        let request = InvalidationRequest::new(&id, "reference", shown.paths.iter().cloned());
        let taken = aws.with(|sim, now| sim.create_invalidation(&request, now));
        assert!(taken.is_ok(), "CloudFront refuses {:?}: {taken:?}", shown.paths);
    }
    for path in &shown.paths {
        let is_wildcard = path.ends_with('*');
        assert!(is_wildcard || !(path.contains('~') || path.contains("%7E")), "{path} has a tilde");
        // A directory's paths are shown by a function that the distribution may have or not.
        let maybe = is_wildcard || shown.shared.contains_key(path) || unsure || has_root && path == "/";
        assert!(maybe || shows(path), "{path} does not show {key:?}");
    }
    for path in candidates(key, &index) {
        assert!(unsure || !shows(&path) || is_covered(&path), "{path} shows {key:?} too: {:?}", shown.paths);
    }
    let is_said = |bucket: &str, key: &str| {
        shown.covers.iter().any(|covered| covered.bucket() == Some(bucket) && key.starts_with(&covered.prefix))
    };
    for neighbour in neighbours(key) {
        for path in distribution.paths_of(BUCKET, &neighbour).paths {
            let by_wildcard = shown.paths.iter().filter(|item| item.ends_with('*')).any(|item| covers(item, &path));
            let said = is_said(BUCKET, &neighbour);
            assert!(!by_wildcard || said, "{path} of {neighbour:?} is covered unsaid: {shown:?}");
        }
    }
    // Whatever any bucket has there: each object alone, and when the edge has forgotten the one before.
    let mut at = now();
    for path in shown.paths.iter().filter_map(|item| item.strip_suffix('*')).flat_map(under) {
        for origin in config.origins.iter().filter(|origin| origin.holding_page.is_none()) {
            let beside = to_key(&origin.domain_name, &origin.origin_path, &path);
            let object = ObjectRef::new(&origin.bucket, &beside);
            let put = PutRequest::new(&origin.bucket, &beside, StorageClass::Standard, "beside");
            at += Duration::from_secs(2 * 86_400);
            let shows = aws.with(|sim, _| {
                sim.put_object(put, at).is_ok_and(|_| {
                    let answer = sim.serve(&id, &path, at).unwrap();
                    sim.delete_object(&object, at).unwrap();
                    answer.body == "beside"
                })
            });
            let said = is_said(&origin.bucket, &beside);
            assert!(!shows || said, "{path} shows {beside:?} of {}: {shown:?}", origin.bucket);
        }
    }
}

/// A function as the rule that says what it does: it shows under the paths of `from` what lies in `to`. Both have one `*`,
/// which is any characters.
#[derive(Debug, Clone, Copy)]
pub struct Rewriting<'a> {
    pub pattern: &'a str,
    pub from: &'a str,
    pub to: &'a str,
    pub is_before_the_cache: bool,
    /// Whether its behaviour shows the other bucket.
    pub shows_other: bool,
}

impl Rewriting<'_> {
    fn config(&self) -> DistributionConfig {
        // A function sees and writes encoded paths.
        let encoded = |path: &str| path.replace(' ', "%20");
        let rewrite = Rewrite { from: encoded(self.from), to: encoded(self.to) };
        let function = || Some(Function { name: "rewrite".to_owned(), rewrites: vec![rewrite.clone()] });
        let origin = |bucket: &str| Origin { id: bucket.to_owned(), bucket: bucket.to_owned(), ..Origin::default() };
        let behavior = Behavior {
            path_pattern: self.pattern.to_owned(),
            target_origin_id: if self.shows_other { OTHER } else { BUCKET }.to_owned(),
            viewer_request: function().filter(|_| self.is_before_the_cache),
            origin_request: function().filter(|_| !self.is_before_the_cache),
            ..Behavior::default()
        };
        let error = CustomErrorResponse {
            error_code: 403,
            error_caching_min_ttl: Some(86_400),
            ..CustomErrorResponse::default()
        };
        DistributionConfig {
            origins: vec![origin(BUCKET), origin(OTHER)],
            behaviors: vec![behavior],
            custom_error_responses: vec![error],
            ..DistributionConfig::default()
        }
    }

    fn rules(&self) -> PathRules {
        let template = |text: &str| text.replacen('*', "{any...}", 1);
        let (keys, path) = (template(self.to.trim_start_matches('/')), template(self.from));
        let rule = json!([{"behaviour": self.pattern, "keys": keys, "paths": [path]}]);
        PathRules::new("", &rule.to_string()).unwrap()
    }

    /// Paths that might show a key: its own, and what the function makes its own of. Spelled as clients do.
    fn candidates(&self, key: &str) -> Vec<String> {
        let (before, after) = self.to.split_once('*').unwrap_or((self.to, ""));
        let own = format!("/{key}");
        let any = own.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let rewritten = any.map(|any| self.from.replacen('*', any, 1));
        let paths = [Some(own), rewritten].into_iter().flatten().collect::<Vec<_>>();
        let spelled = |path: &String| {
            let escaped = format!("/{}", thaw_core::encode_path(&path[1..]));
            [escaped.replace("%20", "+"), escaped]
        };
        paths.iter().flat_map(spelled).collect()
    }
}

/// A function that rewrites paths hides no path of a key, and makes thaw drop nothing of another object unsaid.
///
/// The edge is the simulator's, which runs the function on what a viewer asks, and knows nothing of rules.
pub fn rewritten(rewriting: Rewriting<'_>, key: &str, neighbour: &str) {
    let mut sim = Sim::default();
    sim.create_bucket(BUCKET, false);
    sim.create_bucket(OTHER, false);
    let id = sim.put_distribution(rewriting.config(), now()).unwrap();
    let put = |sim: &mut Sim, class: StorageClass| {
        sim.put_object(PutRequest::new(BUCKET, key, class, "the object"), now()).unwrap();
    };
    put(&mut sim, StorageClass::Glacier);
    let aws = Aws::new(sim, now());
    let mut distribution = run(aws.distributions(BUCKET, &[])).unwrap().shown.remove(0);
    distribution.rules = rewriting.rules();
    let shown = distribution.paths_of(BUCKET, key);
    let serve = |path: &str, at: Timestamp| aws.with(|sim, _| sim.serve(&id, path, at)).unwrap();
    let candidates = rewriting.candidates(key);
    candidates.iter().for_each(|path| drop(serve(path, now())));
    aws.with(|sim, _| put(sim, StorageClass::Standard));
    if !shown.paths.is_empty() {
        let request = InvalidationRequest::new(&id, "reference", shown.paths.iter().cloned());
        aws.with(|sim, now| sim.create_invalidation(&request, now)).unwrap();
    }
    // Later the edge has forgotten everything, and shows what it would show.
    let (soon, later) = (now() + Duration::from_secs(600), now() + Duration::from_secs(10 * 86_400));
    let seen: Vec<(u16, String)> = candidates.iter().map(|path| (serve(path, soon).status, path.clone())).collect();
    for (status, path) in seen {
        let is_shown = serve(&path, later).body == "the object";
        assert!(!is_shown || status == 200, "{path} of {key:?} is stale: {shown:?}");
    }
    for bucket in [BUCKET, OTHER] {
        let is_said = |path: &String| {
            let by_wildcard = shown
                .covers
                .iter()
                .any(|covered| covered.bucket() == Some(bucket) && neighbour.starts_with(&covered.prefix));
            let object = (bucket.to_owned(), neighbour.to_owned());
            let items = shown.paths.iter().filter(|item| covers(item, path));
            let by_name = items.clone().all(|item| shown.shared.get(item).is_some_and(|all| all.contains(&object)));
            (bucket, neighbour) == (BUCKET, key) || by_wildcard || by_name
        };
        let paths = distribution.paths_of(bucket, neighbour).paths;
        let exact = paths.iter().filter(|path| !path.ends_with('*'));
        for path in exact.filter(|path| shown.paths.iter().any(|item| covers(item, path))) {
            assert!(is_said(path), "{path} of {neighbour:?} in {bucket} is dropped unsaid: {shown:?}");
        }
    }
}

/// Paths that begin so.
fn under(stem: &str) -> impl Iterator<Item = String> {
    let ends = ["", "a", "b.a", "/z", "p/z", "z.html", "index.html"];
    ends.into_iter().map(move |end| format!("{stem}{end}"))
}

/// Developer Guide, "Specify the objects to invalidate".
fn covers(item: &str, path: &str) -> bool {
    item.strip_suffix('*').map_or(item == path, |prefix| path.starts_with(prefix))
}

/// Paths that might show the key, whatever the origin's path is: each of its ends, and the directories they stand for.
fn candidates(key: &str, index: &str) -> Vec<String> {
    let ends = starts(key).map(|(at, _)| &key[at..]).chain([""]);
    let mut paths = Vec::new();
    for end in ends {
        let escaped = format!("/{}", thaw_core::encode_path(end));
        // S3 reads a `+` as a blank.
        for path in [escaped.replace("%20", "+"), escaped] {
            if let Some(directory) = path.strip_suffix(&thaw_core::encode_path(index)).filter(|_| !index.is_empty()) {
                paths.push(directory.to_owned());
            }
            paths.push(path);
        }
    }
    paths
}

/// Keys that begin like this one.
fn neighbours(key: &str) -> Vec<String> {
    starts(key).flat_map(|(at, _)| [key[..at].to_owned(), format!("{}z", &key[..at])]).collect()
}

/// Where the first characters of a key begin. A long one has nothing new to say.
fn starts(key: &str) -> impl Iterator<Item = (usize, char)> {
    key.char_indices().take(40)
}

/// Whether CloudFront would take this for [`read_config`]: names that need no encoding, origin paths from a slash to
/// something else in the characters of a URL, and the characters of a pattern.
pub fn is_config(text: &str) -> bool {
    let words: Vec<&str> = text.split('\t').collect();
    let [index, root, one, two, patterns @ ..] = &words[..] else { return false };
    let are = |word: &str, more: &str| word.chars().all(|char| char.is_ascii_alphanumeric() || more.contains(char));
    let origin_path =
        |path: &str| path.is_empty() || path.starts_with('/') && !path.ends_with('/') && are(path, "/%.-_+");
    are(index, ".-_")
        && are(root, ".-_")
        && origin_path(one)
        && origin_path(two)
        && patterns.len() < 20
        && patterns.iter().all(|pattern| are(pattern, "_-.*$/\"'@:+&?"))
}

/// A distribution in few words, for those who have only text to give: the directory index, the root object, and the
/// paths of two origins that are the bucket, the second also that of one that is another bucket; then the patterns of the
/// behaviours, each after a digit for its target, the default one first.
pub fn read_config(text: &str) -> DistributionConfig {
    let mut words = text.split('\t');
    let mut next = || words.next().unwrap_or_default().to_owned();
    let directory_index = Some(next()).filter(|index| !index.is_empty());
    let default_root_object = next();
    let origin = |id: &str, origin_path: String| Origin {
        id: id.to_owned(),
        bucket: BUCKET.to_owned(),
        origin_path,
        ..Origin::default()
    };
    let page = Origin { id: "page".to_owned(), holding_page: Some(HoldingPage::default()), ..Origin::default() };
    let (one, two) = (origin("one", next()), origin("two", next()));
    let other = Origin { id: "other".to_owned(), bucket: OTHER.to_owned(), ..two.clone() };
    let origins = vec![one, two, page, other];
    let behavior = |word: String| {
        let target = match word.bytes().next() {
            Some(b'2') => "two",
            Some(b'3') => "group",
            Some(b'4') => "page",
            Some(b'5') => "other",
            Some(b'6') => "both",
            _ => "one",
        };
        let path_pattern = word.chars().skip(1).collect();
        Behavior { path_pattern, target_origin_id: target.to_owned(), ..Behavior::default() }
    };
    let group = |id: &str, second: &str| OriginGroup {
        id: id.to_owned(),
        failover_statuses: vec![403, 404],
        members: ["one", second].map(str::to_owned).to_vec(),
    };
    DistributionConfig {
        directory_index,
        default_root_object,
        origins,
        default_behavior: behavior(next()),
        behaviors: words.map(|word| behavior(word.to_owned())).collect(),
        origin_groups: vec![group("group", "page"), group("both", "other")],
        ..DistributionConfig::default()
    }
}

/// An origin belongs to the bucket whose endpoint it is, and to no other.
pub fn origins(distribution: &Distribution, bucket: &str, is_its: bool) {
    assert_eq!(distribution.has_origin(bucket), is_its, "{bucket} and {:?}", distribution.origins);
}

/// A stack without restores.
#[derive(Default)]
struct Stack {
    ledger: MemoryLedger,
    files: MemoryFiles,
    executions: MemoryExecutions,
}

impl Stack {
    fn settings() -> Settings {
        let (archive_buckets, work_bucket) = (vec![BUCKET.to_owned()], WORK.to_owned());
        Settings { archive_buckets, work_bucket, ..Settings::default() }
    }

    /// The requests that executions were started with, as their Plan would read them.
    fn started(&self) -> Vec<(RestoreId, Request)> {
        let read = |(id, input): (RestoreId, Value)| {
            let request = match input.get("request_in").and_then(Value::as_str) {
                Some(name) => Request::read(&run(self.files.get(name)).unwrap().expect("the request's file is there")),
                None => Request::parse(&input),
            };
            (id, request.unwrap_or_else(|problem| panic!("an execution that cannot be planned: {problem}")))
        };
        self.executions.started().into_iter().map(read).collect()
    }

    fn post(&self, request: &http::Request) -> Response {
        run(create_restore::run(request, &self.ledger, &self.files, &self.executions, &Self::settings(), now()))
    }

    /// Hands messages over to the inbox's door, which is done with all of them.
    fn drop(&self, aws: &Aws, batch: &QueueBatch, letters: &MemoryDeadLetters) {
        let (Self { ledger, files, executions }, settings) = (self, Self::settings());
        let run = run(on_inbox_file::run(batch.clone(), aws, ledger, files, executions, letters, &settings, now()));
        assert_eq!(run.unwrap(), QueueResponse::default(), "{batch:?}");
    }

    fn get(&self, request: &http::Request) -> Response {
        run(get_restores::run(request, &self.ledger, &self.files))
    }

    fn delete(&self, request: &http::Request) -> Response {
        run(cancel_restore::run(request, &self.ledger, &self.files, &self.executions, &MemoryJobs::default(), now()))
    }
}

/// Bytes of an answer to a request that is refused: whatever came in, not all of it goes out again.
const ANSWER_BYTES: usize = 4_096;

/// Whatever API Gateway hands over, each door answers in JSON, and that it is broken is never the answer. A restore that
/// was accepted has an execution that can be planned and an address that knows it; the same request again changes nothing.
pub fn doors(request: &http::Request) {
    let stack = Stack::default();
    for answer in [stack.get(request), stack.delete(request)] {
        fair(&answer);
    }
    let answer = stack.post(request);
    fair(&answer);
    if answer.status_code != 202 {
        assert!(
            stack.ledger.items().is_empty() && stack.executions.started().is_empty(),
            "refused, but not without a trace"
        );
        return;
    }
    let [(id, asked)] = &stack.started()[..] else { panic!("one restore is one execution") };
    assert_eq!(Ok(asked), Request::read(&request.body_bytes().unwrap()).as_ref());
    assert_eq!(answer.headers["location"], format!("/v1/restores/{id}"));
    let ledger = stack.ledger.items();
    let again = stack.post(request);
    assert_eq!((again.status_code, &again.body), (200, &answer.body), "the same request again");
    assert_eq!(stack.ledger.items(), ledger);

    let ask = |route: &str| {
        let event = json!({"routeKey": route, "pathParameters": {"id": id}});
        serde_json::from_value::<http::Request>(event).unwrap()
    };
    for route in get_restores::ROUTES {
        assert_eq!(stack.get(&ask(route)).status_code, 200, "{route}");
    }
    // With a restore in the list, a cursor has something to come before or after.
    fair(&stack.get(request));
    assert_eq!(stack.delete(&ask("DELETE /v1/restores/{id}")).status_code, 202);
}

fn fair(answer: &Response) {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert!(body.is_object());
    match answer.status_code {
        200 | 202 => assert_eq!(answer.headers["content-type"], "application/json"),
        400 | 403 | 404 | 409 | 413 | 422 => {
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            assert_eq!(body["status"], answer.status_code);
            assert!(answer.body.len() <= ANSWER_BYTES, "an answer of {} bytes", answer.body.len());
        }
        broken => panic!("{broken}: {body}"),
    }
}

/// Whatever lies in a queue, messages that cannot be read are put aside and no message comes again; an execution that an
/// event starts can be planned, and the same messages again start no other.
pub fn queues(messages: &[&str]) {
    let stack = Stack::default();
    let aws = Aws::new(Sim::default(), now());
    let records = messages.iter().enumerate().map(|(id, body)| json!({"messageId": id.to_string(), "body": body}));
    let batch: QueueBatch = serde_json::from_value(json!({"Records": records.collect::<Vec<_>>()})).unwrap();
    let settings = Stack::settings();
    let unreadable = messages.iter().filter(|body| thaw_core::read_s3_events(body).is_err()).count();

    let letters = MemoryDeadLetters::default();
    let (newest, ledger) = (&mut CurrentVersions::default(), &stack.ledger);
    let complete = on_restore_completed::run(batch.clone(), newest, &aws, &aws, ledger, &letters, &settings, now());
    assert_eq!(run(complete).unwrap(), QueueResponse::default(), "{messages:?}");
    assert_eq!(letters.letters().len(), unreadable, "{messages:?}");
    let join = || {
        let Stack { ledger, files, executions } = &stack;
        let (batch, events) = (batch.clone(), &MemoryEvents::default());
        let join =
            on_restore_initiated::run(batch, &aws, ledger, files, executions, events, &letters, &settings, now());
        assert_eq!(run(join).unwrap(), QueueResponse::default(), "{messages:?}");
    };
    let in_the_inbox = messages.iter().filter(|body| thaw_core::read_inbox_file(body).is_err()).count();
    let before = letters.letters().len();
    stack.drop(&aws, &batch, &letters);
    assert_eq!(letters.letters().len() - before, in_the_inbox, "{messages:?}");
    assert!(stack.started().is_empty(), "there is no such file");
    join();
    let started = stack.started();
    assert!(started.iter().all(|(_, request)| request.bucket == BUCKET && request.join_only));
    join();
    assert_eq!(stack.started(), started, "the same messages again");
}

/// Whatever lies in the inbox is answered beside it: with a restore whose execution can be planned, or with a problem in
/// few words and without a trace. Told of once more, it comes to the same.
pub fn inbox(name: &str, content: &[u8]) {
    let (stack, letters) = (Stack::default(), MemoryDeadLetters::default());
    let key = format!("inbox/{name}");
    let mut sim = Sim::default();
    sim.create_bucket(WORK, false);
    let put = PutRequest::new(WORK, &key, StorageClass::Standard, content.to_vec());
    let etag = sim.put_object(put, now()).unwrap().etag;
    let aws = Aws::new(sim, now());
    let object = json!({"key": key, "size": content.len(), "etag": etag, "sequencer": "1"});
    let detail = json!({"bucket": {"name": WORK}, "object": object});
    let event = json!({"detail-type": "Object Created", "source": "aws.s3", "detail": detail}).to_string();
    let batch: QueueBatch = serde_json::from_value(json!({"Records": [{"messageId": "1", "body": event}]})).unwrap();
    let answer = || run(stack.files.get(&format!("{key}.answer.json"))).unwrap();

    stack.drop(&aws, &batch, &letters);
    let (answered, started, ledger) = (answer().expect("it is answered"), stack.started(), stack.ledger.items());
    let said: Value = serde_json::from_slice(&answered).unwrap();
    match &started[..] {
        [] => {
            assert!(ledger.is_empty() && (400..500).contains(&said["status"].as_u64().unwrap()), "{said}");
            assert!(answered.len() <= ANSWER_BYTES, "an answer of {} bytes", answered.len());
        }
        [(id, asked)] => assert_eq!((said["id"].as_str(), asked.bucket.as_str()), (Some(id.as_str()), BUCKET)),
        several => panic!("{several:?}"),
    }
    stack.drop(&aws, &batch, &letters);
    assert_eq!((answer().as_ref(), stack.started(), stack.ledger.items()), (Some(&answered), started, ledger));
    assert!(letters.letters().is_empty());
}

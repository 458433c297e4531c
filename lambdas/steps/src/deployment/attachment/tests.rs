use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use futures_util::FutureExt;
use serde_json::{Value, json};
use thaw_core::{Encryption, RestoreId};

use super::*;
use crate::ports::{FoundBucket, StartExecutions};
use crate::testing::memory::MemoryEvents;
use crate::testing::stack::Stack;

const NONE: &str = "<NotificationConfiguration xmlns=\"x\"/>";
const QUEUE: &str = "<NotificationConfiguration xmlns=\"x\"><QueueConfiguration><Id>q</Id></QueueConfiguration></NotificationConfiguration>";
const ON: &str = "<NotificationConfiguration xmlns=\"x\"><EventBridgeConfiguration/></NotificationConfiguration>";

/// An account in which stacks come and go. Buckets and ledger stay.
#[derive(Default)]
struct Account {
    /// The notification configurations of the buckets that there are.
    buckets: RefCell<BTreeMap<String, String>>,
    /// Buckets that S3 lets nobody change.
    denied: RefCell<BTreeSet<String>>,
    writes: Cell<u32>,
    /// Whether it is the stack that goes, and not an update that is taken back.
    stays: Cell<bool>,
    /// Ledger, work bucket, executions and jobs.
    stack: Stack,
    events: MemoryEvents,
}

impl Account {
    fn with(buckets: &[(&str, &str)]) -> Self {
        let account = Self::default();
        for (name, xml) in buckets {
            account.buckets.borrow_mut().insert((*name).to_owned(), (*xml).to_owned());
        }
        account
    }

    fn handle(&self, event: &Event<'_>) -> Reply {
        let attachment = Attachment {
            stack: self,
            buckets: self,
            ledger: &self.stack.ledger,
            files: &self.stack.files,
            executions: &self.stack.executions,
            events: &self.events,
            jobs: &self.stack.jobs,
            now: || Timestamp::UNIX_EPOCH,
        };
        run(attachment.handle(event))
    }

    fn update(&self, manages: &str, buckets: &[&str]) -> Reply {
        let properties = properties(json!({"ManageBucketEvents": manages, "ArchiveBuckets": buckets}));
        self.handle(&Event::Update { physical_id: ID, properties: &properties, old_properties: &Properties::default() })
    }

    fn delete(&self, physical_id: Option<&str>) -> Reply {
        self.handle(&Event::Delete { physical_id, properties: &Properties::default() })
    }

    #[track_caller]
    fn are(&self, expected: &[(&str, &str)]) {
        let buckets = self.buckets.borrow();
        let found: Vec<_> = buckets.iter().map(|(name, xml)| (name.as_str(), xml.as_str())).collect();
        assert_eq!(found, expected);
    }
}

/// Runs what waits for nothing but the ports in memory, which let others run in between.
fn run<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        if let Some(done) = work.as_mut().now_or_never() {
            return done;
        }
    }
}

fn properties(properties: Value) -> Properties {
    let Value::Object(properties) = properties else { panic!("{properties} is no object") };
    properties.into()
}

fn error<T>(code: &str, trouble: CallError) -> Result<T, PortError> {
    Err(PortError { what: "Call".to_owned(), says: code.to_owned(), trouble: Some(trouble) })
}

impl ReadBuckets for Account {
    async fn bucket(&self, _: &str) -> Result<FoundBucket, PortError> {
        panic!("Preflight asks that")
    }
    async fn encryption(&self, _: &str) -> Result<Encryption, PortError> {
        panic!("Preflight asks that")
    }
    async fn notifications(&self, bucket: &str) -> Result<String, PortError> {
        match self.buckets.borrow().get(bucket) {
            Some(xml) => Ok(xml.clone()),
            None => error("NoSuchBucket", CallError::WrongBucket),
        }
    }
}

impl ReadStack for Account {
    async fn is_going(&self) -> Result<bool, PortError> {
        Ok(!self.stays.get())
    }
}

impl PutNotifications for Account {
    async fn put_notifications(&self, bucket: &str, xml: &str) -> Result<(), PortError> {
        if self.denied.borrow().contains(bucket) {
            return error("AccessDenied", CallError::Denied);
        }
        self.writes.set(self.writes.get() + 1);
        self.buckets.borrow_mut().insert(bucket.to_owned(), xml.to_owned());
        Ok(())
    }
}

fn with_queue_on() -> String {
    with_eventbridge(QUEUE).unwrap()
}

#[test]
fn events_are_turned_on_beside_what_is_there_and_put_back_byte_for_byte() {
    let before = [("a", NONE), ("b", QUEUE), ("c", ON)];
    let account = Account::with(&before);
    assert_eq!(account.update("true", &["a", "b", "c"]), Reply::done([]));
    account.are(&[("a", ON), ("b", &with_queue_on()), ("c", ON)]);
    // Twice is once.
    assert_eq!(account.update("true", &["a", "b", "c"]), Reply::done([]));
    assert_eq!(account.writes.get(), 2);
    assert_eq!(account.delete(Some(ID)), Reply::done([]));
    account.are(&before);
    assert_eq!(account.delete(Some(ID)), Reply::done([]));
    assert_eq!(account.writes.get(), 4);
}

#[test]
fn without_the_parameter_no_bucket_is_touched() {
    let before = [("a", NONE), ("b", QUEUE), ("c", ON)];
    let account = Account::with(&before);
    assert_eq!(account.update("false", &["a", "b", "c"]), Reply::done([]));
    assert_eq!(account.delete(Some(ID)), Reply::done([]));
    account.are(&before);
    assert_eq!(account.writes.get(), 0);
}

#[test]
fn a_bucket_that_is_left_out_is_put_back_and_so_are_all_when_it_is_turned_off() {
    let account = Account::with(&[("a", NONE), ("b", QUEUE)]);
    account.update("true", &["a", "b"]);
    account.update("true", &["b"]);
    account.are(&[("a", NONE), ("b", &with_queue_on())]);
    account.update("false", &["b"]);
    account.are(&[("a", NONE), ("b", QUEUE)]);
    // And back again, as CloudFormation takes back an update.
    account.update("true", &["a", "b"]);
    account.are(&[("a", ON), ("b", &with_queue_on())]);
}

#[test]
fn what_somebody_else_changed_since_then_stays() {
    let account = Account::with(&[("a", NONE), ("b", NONE)]);
    account.update("true", &["a", "b"]);
    // One got a queue, and the other's events were turned off.
    account.buckets.borrow_mut().insert("a".to_owned(), with_queue_on());
    account.buckets.borrow_mut().insert("b".to_owned(), NONE.to_owned());
    assert_eq!(account.delete(Some(ID)), Reply::done([]));
    account.are(&[("a", QUEUE), ("b", NONE)]);
}

#[test]
fn a_bucket_that_is_gone_keeps_nothing_from_being_deleted() {
    let account = Account::with(&[("a", NONE), ("b", NONE)]);
    account.update("true", &["a", "b"]);
    account.buckets.borrow_mut().remove("a");
    assert_eq!(account.delete(Some(ID)), Reply::done([]));
    account.are(&[("b", NONE)]);
}

#[test]
fn another_stack_with_the_same_ledger_knows_what_to_put_back() {
    let account = Account::with(&[("a", NONE)]);
    account.update("true", &["a"]);
    // The first stack was deleted without its attachment.
    assert_eq!(account.update("false", &["a"]), Reply::done([]));
    account.are(&[("a", NONE)]);
}

#[test]
fn a_bucket_that_may_not_be_changed_fails_by_name_and_stops_no_others() {
    let account = Account::with(&[("a", NONE), ("b", NONE)]);
    account.denied.borrow_mut().insert("a".to_owned());
    let reply = account.update("true", &["a", "b"]);
    assert!(!reply.is_settled, "a permission that is new takes seconds");
    let reason = reply.result.unwrap_err();
    assert!(
        reason.starts_with("ManageBucketEvents: the events of a could not be turned on: Call: AccessDenied."),
        "{reason}"
    );
    assert!(reason.ends_with("or set ManageBucketEvents to false."), "{reason}");
    account.are(&[("a", NONE), ("b", ON)]);
    // The creation that failed is taken back: nothing of it was changed in `a`.
    assert_eq!(account.delete(None), Reply::done([]));
    account.are(&[("a", NONE), ("b", NONE)]);
}

#[test]
fn a_setting_that_cannot_be_put_back_fails_the_deletion_and_no_update() {
    let account = Account::with(&[("a", NONE), ("b", NONE)]);
    account.update("true", &["a", "b"]);
    account.denied.borrow_mut().insert("a".to_owned());
    assert_eq!(account.update("true", &["b"]).result, Ok([].into()));
    let reason = account.delete(Some(ID)).result.unwrap_err();
    assert!(reason.starts_with("The events of a could not be turned off: Call: AccessDenied."), "{reason}");
    account.are(&[("a", ON), ("b", NONE)]);
    // It is remembered until it can be.
    account.denied.borrow_mut().clear();
    assert_eq!(account.delete(Some(ID)), Reply::done([]));
    account.are(&[("a", NONE), ("b", NONE)]);
}

#[test]
fn a_configuration_that_cannot_be_read_is_not_replaced() {
    let account = Account::with(&[("a", "<html/>")]);
    assert!(account.update("true", &["a"]).result.unwrap_err().contains("cannot be read"));
    account.are(&[("a", "<html/>")]);
}

#[test]
fn restores_that_run_are_ended_in_words_before_the_stack_is_gone() {
    let account = Account::with(&[("a", NONE)]);
    account.update("true", &["a"]);
    let stack = &account.stack;
    let (running, ended) = run(async { (stack.accepted(&["cold"]).await, stack.accepted(&["warm"]).await) });
    run(stack.executions.stop(&ended, "by its owner")).unwrap();
    assert_eq!(account.delete(Some(ID)), Reply::done([]));
    account.are(&[("a", NONE)]);

    let record = |id: &RestoreId| run(stack.ledger.get::<RestoreRecord>(&RestoreRecord::key_of(id))).unwrap().unwrap();
    let (record, other) = (record(&running), record(&ended));
    assert_eq!((record.status, other.status), (Status::Failed, Status::Running), "one of them ran");
    let says = record.says.unwrap();
    assert!(says.starts_with("The stack was deleted while this restore ran."), "{says}");
    assert!(says.ends_with(&format!("with POST /v1/restores/{running}/retry.")), "{says}");
    assert_eq!(stack.executions.stopped()[&running], says);
    let events = account.events.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((events[0].0.as_str(), &events[0].1["says"]), ("Restore Failed", &json!(says)));
    // Twice is once.
    assert_eq!(account.delete(Some(ID)), Reply::done([]));
    assert_eq!(account.events.events().len(), 1);
}

#[test]
fn an_update_that_is_taken_back_ends_no_restore() {
    let account = Account::with(&[("a", NONE)]);
    account.update("true", &["a"]);
    account.stays.set(true);
    let running = run(account.stack.accepted(&["cold"]));
    assert_eq!(account.delete(Some(ID)), Reply::done([]));
    account.are(&[("a", NONE)]);
    assert!(!account.stack.executions.stopped().contains_key(&running));
    assert_eq!(account.events.events(), []);
}

#[test]
fn an_execution_without_a_restore_is_stopped_too() {
    let account = Account::default();
    let id = RestoreId::try_from("by-hand".to_owned()).unwrap();
    run(account.stack.executions.start(&id, &Value::Null)).unwrap();
    assert_eq!(account.delete(None), Reply::done([]));
    assert_eq!(account.stack.executions.stopped()[&id], WHY);
}

#[test]
fn wrong_parameters_change_nothing() {
    let account = Account::with(&[("a", NONE)]);
    let reason = account.update("yes", &["a"]).result.unwrap_err();
    assert_eq!(reason, r#"ManageBucketEvents: "yes" must be true or false."#);
    account.are(&[("a", NONE)]);
}

//! ActionKind lies between a function and the services: every port, with whatever goes wrong on the way.

use std::cell::RefCell;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use thaw_core::{Execution, Facts, Job, ObjectId, RestoreAnswer, RestoreId, S3Uri, Status, Tier, Trouble};
use thaw_steps::Step;
use thaw_steps::ledger::restores::RestoreRecord;
use thaw_steps::ports::{
    CreateInvalidations, CreateJobs, CreatedJob, Cursor, DeadLetters, Distributions, Invalidation, InvalidationStatus,
    Item, ItemKey, Ledger, ListFrom, ListRestores, LongFiles, NewJob, Page, Piece, PortError, Put, PutEvents,
    ReadArchive, ReadDistributions, ReadExecutions, ReadInvalidations, ReadJobs, RequestRestores, StartExecutions,
    StopExecutions, UpdateJobs, VersionMarker, VersionPage, WorkFiles,
};

use crate::known_bug::KnownBug;
use crate::runtime::Signal;
use crate::stack::Stack;
use crate::world::{CallFaultKind, ServiceCall};

/// A running function.
pub struct Lambda {
    /// Which.
    pub step: Step,
    /// Counts the invocations of the world.
    pub serial: u64,
    /// When it began.
    pub begun: Timestamp,
    /// The restore it works for, if it is told of one.
    pub restore: Option<String>,
    /// Whether it has been killed.
    pub dead: Signal,
}

/// The services, as one running function reaches them.
pub struct Wire {
    /// ActionKind there is.
    pub stack: Rc<Stack>,
    /// Who calls.
    pub lambda: Rc<Lambda>,
    /// ActionKind a bug remembers between calls.
    pub memory: RefCell<Vec<String>>,
}

fn trouble(call: ServiceCall, trouble: Trouble) -> PortError {
    PortError { what: format!("{call:?}"), says: "as the world wants it".to_owned(), trouble: Some(trouble) }
}

async fn never<T>() -> T {
    std::future::pending().await
}

impl Wire {
    /// Makes a call, on which everything may happen that the world holds for it.
    async fn call<T, F: Future<Output = Result<T, PortError>>>(
        &self,
        call: ServiceCall,
        subject: &str,
        effect: impl Fn() -> F,
    ) -> Result<T, PortError> {
        let (stack, lambda) = (&self.stack, &self.lambda);
        let (fate, takes) = stack.fate(lambda.step, call);
        stack.runtime.sleep(takes / 2).await;
        // KillReason in the meantime: whoever is dead calls nobody.
        if lambda.dead.is_set() {
            return never().await;
        }
        if let Some(fate) = fate {
            stack.struck(lambda, call, subject, fate);
        }
        match fate {
            None => {}
            Some(CallFaultKind::CrashBefore) => {
                lambda.dead.set();
                return never().await;
            }
            Some(CallFaultKind::CrashAfter) => {
                let _lost = effect().await;
                lambda.dead.set();
                return never().await;
            }
            Some(CallFaultKind::HangBefore) => return never().await,
            Some(CallFaultKind::HangAfter) => {
                let _lost = effect().await;
                return never().await;
            }
            Some(CallFaultKind::Throttled) => return Err(trouble(call, Trouble::Throttled)),
            Some(CallFaultKind::PermanentError) => {
                return Err(PortError { trouble: None, ..trouble(call, Trouble::Unavailable) });
            }
            Some(CallFaultKind::Unavailable) => return Err(trouble(call, Trouble::Unavailable)),
            Some(CallFaultKind::ResponseLost) => {
                let _lost = effect().await;
                return Err(trouble(call, Trouble::Unavailable));
            }
            Some(CallFaultKind::SdkRetry) => {
                let _lost = effect().await;
                stack.runtime.sleep(SignedDuration::from_millis(300)).await;
                if lambda.dead.is_set() {
                    return never().await;
                }
            }
        }
        let answer = effect().await;
        stack.runtime.sleep(takes / 2).await;
        answer
    }

    fn has(&self, bug: KnownBug) -> bool {
        self.stack.world.known_bug == Some(bug)
    }
}

impl ReadArchive for Wire {
    async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
        let facts = self.call(ServiceCall::HeadObject, &object.key, || self.stack.aws.head(object)).await?;
        crate::known_bug::head(self.stack.world.known_bug, self.lambda.step, facts, self.stack.runtime.now())
    }

    async fn list(&self, bucket: &str, prefix: &str, from: &ListFrom) -> Result<Page, PortError> {
        let page = self.call(ServiceCall::ListObjects, prefix, || self.stack.aws.list(bucket, prefix, from)).await?;
        if page.objects.is_empty() && page.next.is_some() {
            self.stack.check.borrow_mut().reach("page without a key".to_owned());
        }
        Ok(crate::known_bug::list(self.stack.world.known_bug, self.lambda.step, page))
    }

    async fn folders(&self, bucket: &str, prefix: &str, after: &str) -> Result<Vec<String>, PortError> {
        self.call(ServiceCall::ListObjects, prefix, || self.stack.aws.folders(bucket, prefix, after)).await
    }

    async fn list_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&VersionMarker>,
    ) -> Result<VersionPage, PortError> {
        if self.lambda.step == Step::OnRestoreCompleted {
            self.stack.check.borrow_mut().reach("event makes a page be listed".to_owned());
        }
        let page =
            self.call(ServiceCall::ListObjects, prefix, || self.stack.aws.list_versions(bucket, prefix, after)).await?;
        Ok(crate::known_bug::list_versions(self.stack.world.known_bug, page))
    }

    async fn read(&self, manifest: &S3Uri, from: u64, etag: Option<&str>) -> Result<Option<Piece>, PortError> {
        self.call(ServiceCall::GetFile, &manifest.key, || self.stack.aws.read(manifest, from, etag)).await
    }

    async fn has_versions(&self, bucket: &str) -> Result<bool, PortError> {
        self.call(ServiceCall::GetBucketVersioning, bucket, || self.stack.aws.has_versions(bucket)).await
    }
}

impl RequestRestores for Wire {
    async fn restore(&self, object: &ObjectId, days: Option<u32>, tier: Tier) -> Result<RestoreAnswer, PortError> {
        let (object, days, tier) = crate::known_bug::restore(self.stack.world.known_bug, self, object, days, tier);
        let answer = self
            .call(ServiceCall::RestoreObject, &object.key, || {
                self.stack.restore_object(&self.lambda, &object, days, tier)
            })
            .await?;
        crate::known_bug::answer(self.stack.world.known_bug, answer)
    }
}

impl WorkFiles for Wire {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        self.call(ServiceCall::PutFile, name, || self.stack.files.put(name, bytes.clone())).await
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.call(ServiceCall::GetFile, name, || self.stack.files.get(name)).await
    }
}

impl LongFiles for Wire {
    async fn begin(&self, name: &str) -> Result<String, PortError> {
        self.call(ServiceCall::PutFile, name, || self.stack.files.begin(name)).await
    }

    async fn add(&self, name: &str, upload: &str, number: u32, part: Vec<u8>) -> Result<String, PortError> {
        self.call(ServiceCall::PutFile, name, || self.stack.files.add(name, upload, number, part.clone())).await
    }

    async fn finish(&self, name: &str, upload: &str, parts: &[String]) -> Result<String, PortError> {
        self.call(ServiceCall::PutFile, name, || self.stack.files.finish(name, upload, parts)).await
    }

    async fn read(&self, name: &str, from: u64) -> Result<Option<Piece>, PortError> {
        self.call(ServiceCall::GetFile, name, || LongFiles::read(&self.stack.files, name, from)).await
    }
}

impl CreateJobs for Wire {
    async fn create_job(&self, job: &NewJob<'_>) -> Result<CreatedJob, PortError> {
        self.call(ServiceCall::CreateJob, job.manifest, || async {
            let created = self.stack.files.create_job(job).await;
            self.stack.tell(|| format!("    CreateJob of {}: {created:?}", job.manifest));
            created
        })
        .await
    }
}

impl ReadJobs for Wire {
    async fn job(&self, id: &str) -> Result<Option<Job>, PortError> {
        self.call(ServiceCall::DescribeJob, id, || self.stack.files.job(id)).await
    }
}

impl UpdateJobs for Wire {
    async fn confirm_job(&self, id: &str) -> Result<(), PortError> {
        self.call(ServiceCall::UpdateJobStatus, id, || self.stack.files.confirm_job(id)).await
    }

    async fn cancel_job(&self, id: &str) -> Result<(), PortError> {
        self.call(ServiceCall::UpdateJobStatus, id, || self.stack.files.cancel_job(id)).await
    }
}

impl ReadDistributions for Wire {
    async fn distributions(&self, bucket: &str, ids: &[String]) -> Result<Distributions, PortError> {
        self.call(ServiceCall::ReadDistributions, bucket, || self.stack.aws.distributions(bucket, ids)).await
    }
}

impl CreateInvalidations for Wire {
    async fn invalidate(
        &self,
        distribution: &str,
        items: &[String],
        caller_reference: &str,
    ) -> Result<Invalidation, PortError> {
        let reference = crate::known_bug::reference(self.stack.world.known_bug, self, caller_reference);
        let items = crate::known_bug::items(self.stack.world.known_bug, items);
        let made = self
            .call(ServiceCall::CreateInvalidation, &reference, || {
                self.stack.create_invalidation(distribution, &items, &reference)
            })
            .await;
        crate::known_bug::invalidation(self.stack.world.known_bug, made)
    }
}

impl ReadInvalidations for Wire {
    async fn invalidation(&self, distribution: &str, id: &str) -> Result<InvalidationStatus, PortError> {
        if self.has(KnownBug::CompletedUnasked) {
            return Ok(InvalidationStatus::Completed);
        }
        self.call(ServiceCall::GetInvalidation, id, || self.stack.aws.invalidation(distribution, id)).await
    }
}

impl Ledger for Wire {
    async fn get<T: Item>(&self, key: &ItemKey) -> Result<Option<T>, PortError> {
        self.call(ServiceCall::GetItem, &key.pk, || self.stack.ledger.get(key)).await
    }

    async fn get_many<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        self.call(ServiceCall::GetItems, "", || self.stack.ledger.get_many(keys)).await
    }

    async fn peek_many<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        let found: Vec<T> = self.get_many(keys).await?;
        Ok(found.into_iter().filter_map(|item| self.stack.peeked(item)).collect())
    }

    async fn insert<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        let key = item.key();
        self.call(ServiceCall::Insert, &key.pk, || self.stack.insert(item)).await
    }

    async fn replace<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        let key = item.key();
        self.call(ServiceCall::Replace, &key.pk, || self.stack.replace(&self.lambda, item)).await
    }

    async fn query<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        let items = self.call(ServiceCall::Query, &begin.pk, || self.stack.ledger.query(begin)).await?;
        Ok(crate::known_bug::queried(self.stack.world.known_bug, self.lambda.step, items))
    }

    async fn peek_query<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        let items: Vec<T> = self.query(begin).await?;
        Ok(items.into_iter().filter_map(|item| self.stack.peeked(item)).collect())
    }
}

impl ListRestores for Wire {
    async fn restores(
        &self,
        status: Option<Status>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<(Vec<RestoreRecord>, Option<Cursor>), PortError> {
        self.call(ServiceCall::GetItems, "", || self.stack.ledger.restores(status, after, limit)).await
    }
}

impl StartExecutions for Wire {
    async fn start(&self, id: &RestoreId, input: &Value) -> Result<(), PortError> {
        self.call(ServiceCall::StartExecution, id.as_str(), || async {
            self.stack.start_execution(id.as_str(), input);
            Ok(())
        })
        .await
    }
}

impl StopExecutions for Wire {
    async fn stop(&self, id: &RestoreId, cause: &str) -> Result<(), PortError> {
        self.call(ServiceCall::StopExecution, id.as_str(), || async {
            self.stack.stop_execution(id.as_str(), cause);
            Ok(())
        })
        .await
    }
}

impl ReadExecutions for Wire {
    async fn execution(&self, id: &RestoreId) -> Result<Option<Execution>, PortError> {
        let describe = || async { Ok(self.stack.describe_execution(id.as_str())) };
        self.call(ServiceCall::DescribeExecution, id.as_str(), describe).await
    }
}

impl PutEvents for Wire {
    async fn put_event(&self, detail_type: &str, detail: &Value) -> Result<(), PortError> {
        self.call(ServiceCall::PutEvents, detail_type, || self.stack.events.put_event(detail_type, detail)).await
    }
}

impl DeadLetters for Wire {
    async fn put_aside(&self, message: &str, reason: &str) -> Result<(), PortError> {
        self.call(ServiceCall::PutAside, reason, || async {
            self.stack.put_aside(message, reason);
            Ok(())
        })
        .await
    }
}

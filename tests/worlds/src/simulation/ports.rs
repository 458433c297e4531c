//! The ports of a running function: calls of the simulated services, with the faults of the world.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;
use thaw_core::{
    CallError, Confirmation, Execution, Facts, Job, ObjectId, RestoreAnswer, RestoreId, S3Uri, Status, Tier,
};
use thaw_steps::Step;
use thaw_steps::ledger::restores::RestoreRecord;
use thaw_steps::ledger::restores::{ListRestores, RestoreCursor};
use thaw_steps::ports::{
    CreateInvalidations, CreateJobs, CreatedJob, DeadLetters, Distributions, Invalidation, InvalidationStatus, Item,
    ItemKey, Ledger, ListFrom, LongFiles, NewJob, Page, Piece, PortError, Put, PutEvents, ReadArchive,
    ReadDistributions, ReadExecutions, ReadInvalidations, ReadJobs, ReceiveMessages, ReceivedMessage, RequestRestores,
    SendConfirmations, StartExecutions, StopExecutions, UpdateJobs, VersionMarker, VersionPage, WorkFiles,
};

use super::simulator::Simulator;
use super::{messages, services, step_functions};
use crate::environment::{Environment, Invocation, QueueName};
use crate::known_bug::{self, KnownBug};
use crate::world::{CallFaultKind, PRIMARY, STAGING, ServiceCall};

/// All ports, for one invocation.
pub(super) struct FaultInjectingPorts {
    pub simulator: Rc<Simulator>,
    pub invocation: Rc<Invocation>,
    /// The state of [`KnownBug::DaysLost`].
    pub days_lost: Cell<bool>,
}

impl FaultInjectingPorts {
    /// Makes a call with a latency, and with a fault if the world has one for it. `effect` is the call without them.
    async fn call<T, F: Future<Output = Result<T, PortError>>>(
        &self,
        call: ServiceCall,
        subject: &str,
        effect: impl Fn() -> F,
    ) -> Result<T, PortError> {
        let (env, invocation) = (self.env(), &self.invocation);
        let fault = self.simulator.faults.for_call(env, invocation.step, call);
        let latency = env.latency(4, 60);
        env.runtime.sleep(latency / 2).await;
        // A function that was killed in the meantime makes no call.
        if invocation.ended.is_set() {
            return pending().await;
        }
        if let Some(fault) = fault {
            self.record_fault(call, subject, fault);
        }
        match fault {
            None => {}
            Some(CallFaultKind::CrashBefore) => {
                invocation.ended.set();
                return pending().await;
            }
            Some(CallFaultKind::CrashAfter) => {
                let _lost = effect().await;
                invocation.ended.set();
                return pending().await;
            }
            Some(CallFaultKind::HangBefore) => return pending().await,
            Some(CallFaultKind::HangAfter) => {
                let _lost = effect().await;
                return pending().await;
            }
            Some(CallFaultKind::Throttled) => return Err(injected(call, Some(CallError::Throttled))),
            Some(CallFaultKind::PermanentError) => return Err(injected(call, None)),
            Some(CallFaultKind::Unavailable) => return Err(injected(call, Some(CallError::Unavailable))),
            Some(CallFaultKind::ResponseLost) => {
                let _lost = effect().await;
                return Err(injected(call, Some(CallError::Unavailable)));
            }
            Some(CallFaultKind::SdkRetry) => {
                let _lost = effect().await;
                env.runtime.sleep(SignedDuration::from_millis(300)).await;
                if invocation.ended.is_set() {
                    return pending().await;
                }
            }
        }
        let response = effect().await;
        env.runtime.sleep(latency / 2).await;
        response
    }

    fn record_fault(&self, call: ServiceCall, subject: &str, fault: CallFaultKind) {
        let Invocation { step, number, restore, .. } = self.invocation.as_ref();
        self.env().log(|| format!("  ! {step:?} #{number}: {call:?} {subject}: {fault:?}"));
        let mut checker = self.simulator.checker.borrow_mut();
        checker.call_fault_injected(*step, fault);
        if fault == CallFaultKind::PermanentError {
            checker.state_failed(*step, restore.as_deref());
        }
    }

    fn env(&self) -> &Environment {
        &self.simulator.env
    }

    fn bug(&self) -> Option<KnownBug> {
        self.env().world.known_bug
    }
}

fn injected(call: ServiceCall, trouble: Option<CallError>) -> PortError {
    PortError { what: format!("{call:?}"), says: "injected fault".to_owned(), trouble }
}

impl ReadArchive for FaultInjectingPorts {
    async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
        let facts = self.call(ServiceCall::HeadObject, &object.key, || self.env().aws.head(object)).await?;
        known_bug::head(self.bug(), self.invocation.step, facts, self.env().now())
    }

    async fn list(&self, bucket: &str, prefix: &str, from: &ListFrom) -> Result<Page, PortError> {
        let page = self.call(ServiceCall::ListObjects, prefix, || self.env().aws.list(bucket, prefix, from)).await?;
        if page.objects.is_empty() && page.next.is_some() {
            self.simulator.checker.borrow_mut().cover("empty page before others");
        }
        Ok(known_bug::list(self.bug(), self.invocation.step, page))
    }

    async fn folders(&self, bucket: &str, prefix: &str, after: &str) -> Result<Vec<String>, PortError> {
        self.call(ServiceCall::ListObjects, prefix, || self.env().aws.folders(bucket, prefix, after)).await
    }

    async fn list_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&VersionMarker>,
    ) -> Result<VersionPage, PortError> {
        if self.invocation.step == Step::OnRestoreCompleted {
            self.simulator.checker.borrow_mut().cover("event handler lists versions");
        }
        let page =
            self.call(ServiceCall::ListObjects, prefix, || self.env().aws.list_versions(bucket, prefix, after)).await?;
        Ok(known_bug::list_versions(self.bug(), page))
    }

    async fn read(&self, manifest: &S3Uri, from: u64, etag: Option<&str>) -> Result<Option<Piece>, PortError> {
        self.call(ServiceCall::GetFile, &manifest.key, || self.env().aws.read(manifest, from, etag)).await
    }

    async fn has_versions(&self, bucket: &str) -> Result<bool, PortError> {
        self.call(ServiceCall::GetBucketVersioning, bucket, || self.env().aws.has_versions(bucket)).await
    }
}

impl RequestRestores for FaultInjectingPorts {
    async fn restore(&self, object: &ObjectId, days: Option<u32>, tier: Tier) -> Result<RestoreAnswer, PortError> {
        let (object, days, tier) = known_bug::restore(self.bug(), &self.days_lost, object, days, tier);
        let answer = self
            .call(ServiceCall::RestoreObject, &object.key, || {
                services::restore_object(&self.simulator, &self.invocation, &object, days, tier)
            })
            .await?;
        known_bug::restore_answer(self.bug(), answer)
    }
}

impl WorkFiles for FaultInjectingPorts {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        self.call(ServiceCall::PutFile, name, || self.env().work_files.put(name, bytes.clone())).await
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.call(ServiceCall::GetFile, name, || self.env().work_files.get(name)).await
    }
}

impl LongFiles for FaultInjectingPorts {
    async fn begin(&self, name: &str) -> Result<String, PortError> {
        self.call(ServiceCall::PutFile, name, || self.env().work_files.begin(name)).await
    }

    async fn add(&self, name: &str, upload: &str, number: u32, part: Vec<u8>) -> Result<String, PortError> {
        self.call(ServiceCall::PutFile, name, || self.env().work_files.add(name, upload, number, part.clone())).await
    }

    async fn finish(&self, name: &str, upload: &str, parts: &[String]) -> Result<String, PortError> {
        self.call(ServiceCall::PutFile, name, || self.env().work_files.finish(name, upload, parts)).await
    }

    async fn read(&self, name: &str, from: u64) -> Result<Option<Piece>, PortError> {
        self.call(ServiceCall::GetFile, name, || LongFiles::read(&self.env().work_files, name, from)).await
    }
}

impl CreateJobs for FaultInjectingPorts {
    async fn create_job(&self, job: &NewJob<'_>) -> Result<CreatedJob, PortError> {
        self.call(ServiceCall::CreateJob, job.manifest, || async {
            let created = self.env().work_files.create_job(job).await;
            self.env().log(|| format!("    CreateJob of {}: {created:?}", job.manifest));
            created
        })
        .await
    }
}

impl ReadJobs for FaultInjectingPorts {
    async fn job(&self, id: &str) -> Result<Option<Job>, PortError> {
        self.call(ServiceCall::DescribeJob, id, || self.env().work_files.job(id)).await
    }
}

impl UpdateJobs for FaultInjectingPorts {
    async fn confirm_job(&self, id: &str) -> Result<(), PortError> {
        self.call(ServiceCall::UpdateJobStatus, id, || self.env().work_files.confirm_job(id)).await
    }

    async fn cancel_job(&self, id: &str) -> Result<(), PortError> {
        self.call(ServiceCall::UpdateJobStatus, id, || self.env().work_files.cancel_job(id)).await
    }
}

impl ReadDistributions for FaultInjectingPorts {
    async fn distributions(&self, bucket: &str, ids: &[String]) -> Result<Distributions, PortError> {
        let found =
            self.call(ServiceCall::ReadDistributions, bucket, || self.env().aws.distributions(bucket, ids)).await?;
        Ok(known_bug::distributions(self.bug(), STAGING, found))
    }
}

impl CreateInvalidations for FaultInjectingPorts {
    async fn invalidate(
        &self,
        distribution: &str,
        items: &[String],
        caller_reference: &str,
    ) -> Result<Invalidation, PortError> {
        let reference = known_bug::reference(self.bug(), self.env().now(), caller_reference);
        let items = known_bug::items(self.bug(), items);
        let made = self
            .call(ServiceCall::CreateInvalidation, &reference, || {
                services::create_invalidation(&self.simulator, distribution, &items, &reference)
            })
            .await;
        // What CloudFront did not take from it, a look of another restore may send before the event comes again.
        if self.invocation.step == Step::OnRestoreCompleted && matches!(made, Ok(Invalidation::Accepted { .. })) {
            self.simulator.checker.borrow_mut().published_by_event(&reference);
        }
        known_bug::invalidation(self.bug(), made)
    }
}

impl ReadInvalidations for FaultInjectingPorts {
    async fn invalidation(&self, distribution: &str, id: &str) -> Result<InvalidationStatus, PortError> {
        if known_bug::is_not_awaited(self.bug(), PRIMARY, distribution) {
            return Ok(InvalidationStatus::Completed);
        }
        self.call(ServiceCall::GetInvalidation, id, || self.env().aws.invalidation(distribution, id)).await
    }
}

impl Ledger for FaultInjectingPorts {
    async fn get<T: Item>(&self, key: &ItemKey) -> Result<Option<T>, PortError> {
        self.call(ServiceCall::GetItem, &key.pk, || self.env().ledger.get(key)).await
    }

    async fn get_many<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        self.call(ServiceCall::GetItems, "", || self.env().ledger.get_many(keys)).await
    }

    async fn get_many_eventually<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        let found: Vec<T> = self.get_many(keys).await?;
        Ok(found.into_iter().filter_map(|item| self.simulator.recent_writes.borrow().read(self.env(), item)).collect())
    }

    async fn insert<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        let key = item.key();
        self.call(ServiceCall::Insert, &key.pk, || services::insert(&self.simulator, item)).await
    }

    async fn replace<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        let key = item.key();
        self.call(ServiceCall::Replace, &key.pk, || services::replace(&self.simulator, item)).await
    }

    async fn query<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        let (bug, step) = (self.bug(), self.invocation.step);
        let items = self.call(ServiceCall::Query, &begin.pk, || self.env().ledger.query(begin)).await?;
        Ok(known_bug::query_consistently(bug, step, known_bug::query(bug, step, items)))
    }

    async fn query_eventually<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        let items = self.call(ServiceCall::Query, &begin.pk, || self.env().ledger.query(begin)).await?;
        let items: Vec<T> = known_bug::query(self.bug(), self.invocation.step, items);
        Ok(items.into_iter().filter_map(|item| self.simulator.recent_writes.borrow().read(self.env(), item)).collect())
    }
}

impl ListRestores for FaultInjectingPorts {
    async fn restores(
        &self,
        status: Option<Status>,
        after: Option<&RestoreCursor>,
        limit: usize,
    ) -> Result<(Vec<RestoreRecord>, Option<RestoreCursor>), PortError> {
        self.call(ServiceCall::GetItems, "", || self.env().ledger.restores(status, after, limit)).await
    }
}

impl StartExecutions for FaultInjectingPorts {
    async fn start(&self, id: &RestoreId, input: &Value) -> Result<(), PortError> {
        self.call(ServiceCall::StartExecution, id.as_str(), || async {
            step_functions::start_execution(&self.simulator, id.as_str(), input);
            Ok(())
        })
        .await
    }
}

impl StopExecutions for FaultInjectingPorts {
    async fn stop(&self, id: &RestoreId, _cause: &str) -> Result<(), PortError> {
        self.call(ServiceCall::StopExecution, id.as_str(), || async {
            step_functions::stop_execution(&self.simulator, id.as_str());
            Ok(())
        })
        .await
    }
}

impl ReadExecutions for FaultInjectingPorts {
    async fn execution(&self, id: &RestoreId) -> Result<Option<Execution>, PortError> {
        let describe = || async { Ok(step_functions::describe_execution(&self.simulator, id.as_str())) };
        self.call(ServiceCall::DescribeExecution, id.as_str(), describe).await
    }
}

impl PutEvents for FaultInjectingPorts {
    async fn put_event(&self, detail_type: &str, detail: &Value) -> Result<(), PortError> {
        self.call(ServiceCall::PutEvents, detail_type, || self.env().events.put_event(detail_type, detail)).await
    }
}

impl ReceiveMessages for FaultInjectingPorts {
    async fn receive(&self, wait: Duration, most: usize) -> Result<Vec<ReceivedMessage>, PortError> {
        let (env, name) = (self.env(), QueueName::RestoreCompleted);
        env.runtime.sleep(SignedDuration::try_from(wait).unwrap_or_default()).await;
        let receive = || async {
            let (batch, dead) = self.simulator.queue(name).receive(most, self.simulator.event_source(name), env.now());
            env.dead_letters.borrow_mut().entry(name).or_default().extend(dead);
            let message =
                |(id, body): (u64, String)| ReceivedMessage { id: id.to_string(), body, receipt: id.to_string() };
            let received: Vec<ReceivedMessage> = batch.into_iter().map(message).collect();
            if !received.is_empty() {
                env.log(|| format!("    {} more messages after {wait:?}", received.len()));
                let how = if wait.is_zero() { "received" } else { "collected" };
                self.simulator.checker.borrow_mut().cover(format!("more messages {how}"));
            }
            Ok(received)
        };
        self.call(ServiceCall::ReceiveMessages, "", receive).await
    }

    async fn delete(&self, receipts: &[String]) -> Result<(), PortError> {
        let ids: Vec<u64> = receipts.iter().filter_map(|receipt| receipt.parse().ok()).collect();
        let delete = || async {
            self.simulator.queue(QueueName::RestoreCompleted).delete(&ids);
            Ok(())
        };
        self.call(ServiceCall::DeleteMessages, "", delete).await
    }
}

impl SendConfirmations for FaultInjectingPorts {
    async fn send_confirmation(&self, message: &Confirmation, delay: Duration) -> Result<(), PortError> {
        let delay = SignedDuration::try_from(delay).unwrap_or_default();
        let send = || async {
            messages::send_confirmation(&self.simulator, message, delay);
            Ok(())
        };
        self.call(ServiceCall::SendConfirmation, "", send).await
    }
}

impl DeadLetters for FaultInjectingPorts {
    async fn put_aside(&self, message: &str, reason: &str) -> Result<(), PortError> {
        self.call(ServiceCall::PutAside, reason, || async {
            self.env().log(|| format!("    dead letter: {reason}"));
            let mut dead_letters = self.env().dead_letters.borrow_mut();
            dead_letters.entry(QueueName::RestoreInitiated).or_default().push(message.to_owned());
            Ok(())
        })
        .await
    }
}

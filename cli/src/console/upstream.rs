//! The console's calls of thaw's HTTP API: few, whatever number of tabs is open.
//!
//! Tabs ask for what is here; what is here is asked for again when the API says that it is worth it (`Retry-After`). Whoever
//! asks meanwhile waits for the same call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::Scope;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::api::Api;
use crate::error::Error;

/// Calls that are under way at the same time. A plan may take half a minute; a status must not wait for it.
const AT_ONCE: usize = 4;

/// Seconds for which an answer without `Retry-After` is good: lists, and restores that have ended.
const GOOD_FOR: u64 = 30;

/// Seconds before the API is asked again after an error.
const AFTER_AN_ERROR: u64 = 5;

/// The most answers that are kept.
const KEPT: usize = 16;

/// A call.
#[derive(Debug)]
pub enum Call {
    Get {
        path: String,
    },
    Post {
        path: String,
        body: Value,
        idempotency_key: Option<String>,
    },
    Delete {
        path: String,
    },
    /// Asks CloudFormation for an output of the stack.
    StackOutput {
        name: &'static str,
    },
}

/// An answer, and the seconds after which it is worth asking again.
type Answer = Result<(Value, Option<u64>), Error>;

type Job = (Call, oneshot::Sender<Answer>);

/// What the API has answered a while ago.
#[derive(Clone)]
pub struct Polled {
    pub answer: Arc<Result<Value, Error>>,
    /// What the answer was asked for; see [`Upstream::poll_if_changed`].
    version: String,
    /// When it was asked for, by the real clock.
    pub at: Timestamp,
    good_for: Duration,
}

impl Polled {
    /// How long until it is worth asking again.
    pub fn good_for(&self, now: Timestamp) -> Duration {
        let age = Duration::try_from(now.duration_since(self.at)).unwrap_or_default();
        self.good_for.saturating_sub(age)
    }

    /// The JSON, or the error in words.
    pub fn json(&self) -> Result<&Value, &Error> {
        self.answer.as_ref().as_ref()
    }
}

/// One answer, or none yet; whoever holds the lock is asking for it.
type Slot = Arc<tokio::sync::Mutex<Option<Polled>>>;

/// The API, for the pages.
pub struct Upstream {
    jobs: mpsc::Sender<Job>,
    kept: Mutex<HashMap<String, Slot>>,
    time_scale: u32,
}

impl Upstream {
    /// The API behind threads that make its calls, which block. They end when this is dropped.
    pub fn start<'scope, 'api: 'scope>(api: &Api<'api>, scope: &'scope Scope<'scope, '_>) -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..AT_ONCE {
            let (queue, mut api) = (Arc::clone(&queue), api.clone());
            scope.spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((call, reply)) = next else { return };
                    // Nobody waits any more if the browser has gone away.
                    let _ = reply.send(make(&mut api, call));
                }
            });
        }
        Self { jobs, kept: Mutex::default(), time_scale: api.time_scale() }
    }

    /// Makes a call now. What is kept is forgotten: the call may have changed it.
    pub async fn call(&self, call: Call) -> Result<Value, Error> {
        let answer = self.ask(call).await;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
        answer.map(|(value, _)| value)
    }

    /// Makes a call that changes nothing.
    pub async fn look_up(&self, call: Call) -> Result<Value, Error> {
        self.ask(call).await.map(|(value, _)| value)
    }

    /// What the API answers at this path: now, or as long ago as the API says is good enough.
    pub async fn poll(&self, path: &str) -> Polled {
        self.get(path, None).await
    }

    /// The same, but what is kept is good as long as the version is the same.
    pub async fn poll_if_changed(&self, path: &str, version: &str) -> Polled {
        self.get(path, Some(version)).await
    }

    async fn get(&self, path: &str, version: Option<&str>) -> Polled {
        let slot = self.slot(path);
        let mut slot = slot.lock().await;
        if let Some(polled) = slot.as_ref()
            && is_good(polled, version, Timestamp::now())
        {
            return polled.clone();
        }
        let answer = self.ask(Call::Get { path: path.to_owned() }).await;
        let seconds = match &answer {
            Ok((_, retry_after)) => retry_after.unwrap_or(GOOD_FOR),
            Err(_) => AFTER_AN_ERROR,
        };
        let polled = Polled {
            answer: Arc::new(answer.map(|(value, _)| value)),
            version: version.unwrap_or_default().to_owned(),
            at: Timestamp::now(),
            good_for: (Duration::from_secs(seconds) / self.time_scale).max(Duration::from_secs(1)),
        };
        *slot = Some(polled.clone());
        polled
    }

    /// The place of an answer. If there are too many, those go that nobody is asking for.
    fn slot(&self, path: &str) -> Slot {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT && !kept.contains_key(path) {
            kept.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(kept.entry(path.to_owned()).or_default())
    }

    async fn ask(&self, call: Call) -> Answer {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::Failed("The console is about to end.".to_owned());
        self.jobs.send((call, reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn make(api: &mut Api<'_>, call: Call) -> Answer {
    match call {
        Call::Get { path } => api.get(&path),
        Call::Post { path, body, idempotency_key } => {
            api.post(&path, &body, idempotency_key.as_deref()).map(|value| (value, None))
        }
        Call::Delete { path } => api.delete(&path).map(|value| (value, None)),
        Call::StackOutput { name } => api.stack_output(name).map(|value| (Value::from(value), None)),
    }
}

/// Whether an answer need not be asked for again. An error is never good for longer than its time.
fn is_good(polled: &Polled, version: Option<&str>, now: Timestamp) -> bool {
    match version {
        Some(version) if polled.answer.is_ok() => polled.version == version,
        Some(_) | None => !polled.good_for(now).is_zero(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn an_answer_is_good_for_its_time_or_until_something_changes() {
        let at = Timestamp::now();
        let polled = |answer| Polled {
            answer: Arc::new(answer),
            version: "3 published".to_owned(),
            at,
            good_for: Duration::from_secs(60),
        };
        let (good, bad) = (polled(Ok(Value::Null)), polled(Err(Error::NoAnswer("gone".to_owned()))));
        let (early, late) = (at + SignedDuration::from_secs(59), at + SignedDuration::from_secs(60));
        assert_eq!(good.good_for(early), Duration::from_secs(1));
        assert!(is_good(&good, None, early) && !is_good(&good, None, late));
        assert!(is_good(&good, Some("3 published"), late) && !is_good(&good, Some("4 published"), early));
        assert!(is_good(&bad, Some("3 published"), early) && !is_good(&bad, Some("3 published"), late));
    }
}

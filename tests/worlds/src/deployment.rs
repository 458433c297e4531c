//! Timeouts and queue settings from `infra/template.yaml`: a simulation runs with the deployed values.

use thaw_steps::Step;

use crate::template::Template;

/// The values that the simulation needs.
#[derive(Debug)]
pub struct Deployment {
    /// Lambda timeouts in seconds, by step.
    timeouts: Vec<i64>,
    /// The queue of "Object Restore Initiated" events and its consumer.
    pub restore_initiated: EventSourceMapping,
    /// The queue of "Object Restore Completed" events and its consumer.
    pub restore_completed: EventSourceMapping,
    /// The queue of confirmations and its consumer.
    pub confirm_invalidations: EventSourceMapping,
}

/// A queue and the function that consumes it.
#[derive(Debug)]
pub struct EventSourceMapping {
    /// The consumer.
    pub function: Step,
    /// Messages in a batch at most.
    pub batch_size: usize,
    /// `MaximumBatchingWindowInSeconds`.
    pub batching_window_seconds: i64,
    /// `MaximumConcurrency`: how many batches are processed at the same time.
    pub maximum_concurrency: i64,
    /// `VisibilityTimeout` of the queue, in seconds.
    pub visibility_timeout_seconds: i64,
    /// `maxReceiveCount` of the queue. After that a message goes to the dead-letter queue.
    pub max_receive_count: i64,
}

impl Deployment {
    /// Reads the template.
    pub fn from_template() -> Self {
        let template = Template::load();
        let number = |id: &str, path: &[&str]| {
            let resource = template.resource(id);
            let value = path.iter().fold(&resource, |value, name| &value[*name]);
            value.as_i64().unwrap_or_else(|| panic!("the template's {id} has no number {path:?}"))
        };
        let mapping = |function, mapping, queue| EventSourceMapping {
            function,
            batch_size: usize::try_from(number(mapping, &["BatchSize"])).unwrap_or(1),
            batching_window_seconds: number(mapping, &["MaximumBatchingWindowInSeconds"]),
            maximum_concurrency: number(mapping, &["ScalingConfig", "MaximumConcurrency"]),
            visibility_timeout_seconds: number(queue, &["VisibilityTimeout"]),
            max_receive_count: number(queue, &["RedrivePolicy", "maxReceiveCount"]),
        };
        Self {
            timeouts: Step::ALL.iter().map(|step| number(step.name(), &["Timeout"])).collect(),
            restore_initiated: mapping(Step::OnRestoreInitiated, "RestoreInitiatedSource", "RestoreInitiatedQueue"),
            restore_completed: mapping(Step::OnRestoreCompleted, "RestoreCompletedSource", "RestoreCompletedQueue"),
            confirm_invalidations: mapping(
                Step::ConfirmInvalidations,
                "ConfirmInvalidationsSource",
                "ConfirmInvalidationsQueue",
            ),
        }
    }

    /// The timeout of a function in seconds.
    pub fn timeout_seconds(&self, step: Step) -> i64 {
        self.timeouts[step as usize]
    }
}

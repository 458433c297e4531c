//! What the template says of timeouts and queues: the worlds run with what is deployed.

use thaw_steps::Step;

use crate::template::Template;

/// The numbers.
#[derive(Debug)]
pub struct Deployed {
    /// Seconds after which Lambda kills a function, by step.
    timeouts: Vec<i64>,
    /// What tells of restores that began.
    pub initiated: Source,
    /// What tells of restores that are done.
    pub completed: Source,
}

/// A queue and who reads it.
#[derive(Debug)]
pub struct Source {
    /// The reader.
    pub step: Step,
    /// Messages in a batch.
    pub batch: usize,
    /// Seconds that a batch waits for more.
    pub window: i64,
    /// Batches at a time.
    pub at_once: i64,
    /// Seconds until a message that was not deleted comes again.
    pub visibility: i64,
    /// How often it comes at most.
    pub receives: i64,
}

impl Deployed {
    /// Reads the template.
    pub fn read() -> Self {
        let template = Template::load();
        let number = |id: &str, path: &[&str]| {
            let whole = template.resource(id);
            let value = path.iter().fold(&whole, |value, name| &value[*name]);
            value.as_i64().unwrap_or_else(|| panic!("the template's {id} has no number {path:?}"))
        };
        let source = |step, source, queue| Source {
            step,
            batch: usize::try_from(number(source, &["BatchSize"])).unwrap_or(1),
            window: number(source, &["MaximumBatchingWindowInSeconds"]),
            at_once: number(source, &["ScalingConfig", "MaximumConcurrency"]),
            visibility: number(queue, &["VisibilityTimeout"]),
            receives: number(queue, &["RedrivePolicy", "maxReceiveCount"]),
        };
        Self {
            timeouts: Step::ALL.iter().map(|step| number(step.name(), &["Timeout"])).collect(),
            initiated: source(Step::OnRestoreInitiated, "RestoreInitiatedSource", "RestoreInitiatedQueue"),
            completed: source(Step::OnRestoreCompleted, "RestoreCompletedSource", "RestoreCompletedQueue"),
        }
    }

    /// Seconds after which Lambda kills this function.
    pub fn timeout(&self, step: Step) -> i64 {
        self.timeouts[step as usize]
    }
}

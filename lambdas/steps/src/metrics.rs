//! What CloudWatch counts of thaw: fields of log lines that are metrics as well.
//!
//! A step logs a decision in one line, with its numbers as fields. A field that has the name of a metric becomes one: the
//! function's log adds to the line what CloudWatch needs to read it (CloudWatch User Guide, "Specification: Embedded metric
//! format"). So there is no library that starts with the function, no call to CloudWatch that may fail, and no permission.
//!
//! CloudWatch charges for a metric in the hours in which a line has it, so a stack that restores nothing pays for none. Every
//! dimension has few values, and never a restore, a key or a path: each value would be a metric of its own.

use jiff::Timestamp;

/// The namespace.
pub const NAMESPACE: &str = "thaw";

/// The dimension that every metric has: the name of the stack.
pub const STACK: &str = "stack";

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, and that of the field.
    pub name: &'static str,
    /// What it is measured in.
    pub unit: Unit,
    /// Its other dimensions: fields of the same line.
    pub by: &'static [&'static str],
}

/// What a metric is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// How many.
    Count,
    /// Seconds.
    Seconds,
    /// Hundredths.
    Percent,
    /// US dollars, for which CloudWatch has no unit.
    Usd,
}

impl Unit {
    /// CloudWatch's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
            Self::Percent => "Percent",
            Self::Usd => "None",
        }
    }
}

const fn metric(name: &'static str, unit: Unit, by: &'static [&'static str]) -> Metric {
    Metric { name, unit, by }
}

/// All metrics. `infra/README.md` says what each means.
pub const METRICS: [Metric; 15] = [
    metric("RestoresStarted", Unit::Count, &[]),
    metric("RestoresEnded", Unit::Count, &["status"]),
    metric("RestoresLate", Unit::Count, &[]),
    metric("RestoresOverdue", Unit::Count, &[]),
    metric("ObjectsPublished", Unit::Count, &[]),
    metric("ObjectsFailed", Unit::Count, &[]),
    metric("ObjectsCancelled", Unit::Count, &[]),
    metric("SecondsToRestore", Unit::Seconds, &["kind", "tier"]),
    metric("SecondsToPublish", Unit::Seconds, &[]),
    metric("SecondsUnpublished", Unit::Seconds, &[]),
    metric("PathsInvalidated", Unit::Count, &[]),
    metric("PlannedUsd", Unit::Usd, &[]),
    metric("BudgetLeftPercent", Unit::Percent, &[]),
    metric("Throttles", Unit::Count, &["operation"]),
    metric("Errors", Unit::Count, &[]),
];

/// The most values that a line may have of one metric (same source).
const VALUES: usize = 100;

/// Values of one metric, as a field of a line: `[1.0,2.0]`. Of more than a hundred the sorted values at equal distances are kept,
/// the smallest and the largest among them.
pub fn values(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    if values.len() > VALUES {
        let last = values.len() - 1;
        values = (0..VALUES).map(|nth| values[nth * last / (VALUES - 1)]).collect();
    }
    format!("{values:?}")
}

/// Seconds from one time to another; 0 if that is earlier.
pub fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_all_there_and_of_many_the_extremes_and_those_between() {
        assert_eq!(values(vec![3.0, 1.5]), "[1.5, 3.0]");
        let many: Vec<f64> = (0..=1_000).rev().map(f64::from).collect();
        let kept: Vec<f64> = serde_json::from_str(&values(many)).unwrap();
        assert_eq!((kept.len(), kept[0], kept[50], kept[99]), (100, 0.0, 505.0, 1_000.0));
    }

    #[test]
    fn no_time_is_negative() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!((seconds(at(5), at(65)), seconds(at(65), at(5))), (60.0, 0.0));
    }
}

//! The settings of a function, from the parameters of the stack.

use thaw_core::{BATCH_OPERATIONS_OVER, InvalidPathRules, OBJECTS_PER_JOB, PathRules, Usd};

/// As many keys as a request may name. In a restore of as many objects hardly two come within ten seconds, so that
/// collecting them would cost more than it saves.
const COLLECT_OVER: u64 = 1_000;

/// The settings of a function. Each function gets only those that it needs; the others have their defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The buckets that this stack may restore from (`ARCHIVE_BUCKETS`).
    pub archive_buckets: Vec<String>,
    /// The bucket with the inbox (`WORK_BUCKET`).
    pub work_bucket: String,
    /// The limit for the planned price of a manifest in the inbox (`INBOX_MAX_COST_USD`); `None` is no limit.
    pub inbox_max_cost: Option<Usd>,
    /// The limit for the planned prices of all joined restores of a day (UTC) (`JOINED_MAX_COST_USD`); `None` is no
    /// limit.
    pub joined_max_cost: Option<Usd>,
    /// The distributions that may be invalidated (`DISTRIBUTION_IDS`), beside the staging distributions that get viewers
    /// from them. If empty, those that have the bucket as an origin.
    pub distribution_ids: Vec<String>,
    /// Under which other paths the functions of the distributions show keys: the index document of directories
    /// (`DIRECTORY_INDEX`), and rules in JSON (`PATH_RULES`).
    pub path_rules: PathRules,
    /// The limit for the planned prices of all restores of a day (UTC) (`DAILY_BUDGET_USD`); `None` is no limit.
    pub daily_budget: Option<Usd>,
    /// A restore of more archived objects than this is left to S3 Batch Operations, unless the request says otherwise
    /// (`BATCH_OPERATIONS_OVER`).
    pub batch_operations_over: u64,
    /// Objects of a restore of more objects than this are collected before they are published. No parameter sets it.
    /// Worlds do, to have restores that are large.
    pub collect_over: u64,
    /// The most objects of a job. No parameter sets it. Tests do, to have more than one job.
    pub objects_per_job: u64,
    /// Objects in the first chunks of a restore. No parameter sets it. Worlds do, to have more than one chunk.
    pub objects_per_chunk: usize,
}

/// A setting that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// Wrong path rules.
    #[error(transparent)]
    PathRules(#[from] InvalidPathRules),
    /// No amount of money.
    #[error("{name} {value:?} must be an amount of US dollars such as 25 or 0.5, or empty for no limit")]
    NotUsd {
        /// The variable.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// No number of objects.
    #[error("{name} {value:?} must be a number of objects such as 5000000")]
    NotCount {
        /// The variable.
        name: &'static str,
        /// What it says.
        value: String,
    },
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            archive_buckets: Vec::new(),
            work_bucket: String::new(),
            inbox_max_cost: None,
            joined_max_cost: None,
            distribution_ids: Vec::new(),
            path_rules: PathRules::default(),
            daily_budget: None,
            batch_operations_over: BATCH_OPERATIONS_OVER,
            collect_over: COLLECT_OVER,
            objects_per_job: OBJECTS_PER_JOB,
            objects_per_chunk: 1_000,
        }
    }
}

impl Settings {
    /// Whether the stack may invalidate this distribution: it names it, or it names none. A staging distribution that was
    /// found by its primary one is not named.
    pub fn names(&self, distribution: &str) -> bool {
        self.distribution_ids.is_empty() || self.distribution_ids.iter().any(|id| id == distribution)
    }

    /// Reads the settings. `variable` answers environment variables.
    ///
    /// # Errors
    ///
    /// [`InvalidSetting`]: with wrong rules thaw would not invalidate what viewers see, or invalidate what it must not; and a
    /// limit that cannot be read must not be no limit.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidSetting> {
        let list = |name| {
            let text = variable(name).unwrap_or_default();
            text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let usd = |name| match set(name) {
            None => Ok(None),
            Some(value) => match value.parse().ok().and_then(Usd::from_f64) {
                None => Err(InvalidSetting::NotUsd { name, value }),
                limit => Ok(limit),
            },
        };
        let objects = |name, default| match set(name) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| InvalidSetting::NotCount { name, value }),
        };
        let text = |name| variable(name).unwrap_or_default();
        Ok(Self {
            archive_buckets: list("ARCHIVE_BUCKETS"),
            work_bucket: variable("WORK_BUCKET").unwrap_or_default(),
            inbox_max_cost: usd("INBOX_MAX_COST_USD")?,
            joined_max_cost: usd("JOINED_MAX_COST_USD")?,
            distribution_ids: list("DISTRIBUTION_IDS"),
            path_rules: PathRules::new(&text("DIRECTORY_INDEX"), &text("PATH_RULES"))?,
            daily_budget: usd("DAILY_BUDGET_USD")?,
            batch_operations_over: objects("BATCH_OPERATIONS_OVER", BATCH_OPERATIONS_OVER)?,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"[{"keys": "images/{path...}", "paths": ["/img/{path...}"]}]"#;

    #[test]
    fn lists_are_separated_by_commas_and_what_is_not_set_is_empty() {
        let settings = Settings::read(|name| match name {
            "ARCHIVE_BUCKETS" => Some("one, two,,".to_owned()),
            "DIRECTORY_INDEX" => Some("index.html".to_owned()),
            "PATH_RULES" => Some(RULES.to_owned()),
            "INBOX_MAX_COST_USD" => Some("2.5".to_owned()),
            "JOINED_MAX_COST_USD" => Some("1.5".to_owned()),
            "DAILY_BUDGET_USD" => Some("40".to_owned()),
            "BATCH_OPERATIONS_OVER" => Some("7".to_owned()),
            _ => None,
        });
        let archive_buckets = vec!["one".to_owned(), "two".to_owned()];
        let inbox_max_cost = Usd::from_f64(2.5);
        assert_eq!(
            settings.unwrap(),
            Settings {
                archive_buckets,
                inbox_max_cost,
                joined_max_cost: Usd::from_f64(1.5),
                daily_budget: Usd::from_f64(40.0),
                batch_operations_over: 7,
                path_rules: PathRules::new("index.html", RULES).unwrap(),
                ..Settings::default()
            }
        );
        let unlimited = Settings::read(|name| (name == "DAILY_BUDGET_USD").then(String::new));
        assert_eq!(unlimited, Ok(Settings::default()));
    }

    #[test]
    fn a_limit_that_cannot_be_read_is_an_error_and_not_no_limit() {
        for name in ["INBOX_MAX_COST_USD", "JOINED_MAX_COST_USD", "DAILY_BUDGET_USD", "BATCH_OPERATIONS_OVER"] {
            for value in ["ten", "-1", "1e400", "NaN"] {
                let read = Settings::read(|asked| (asked == name).then(|| value.to_owned()));
                let says = read.expect_err(value).to_string();
                assert!(says.starts_with(&format!("{name} \"{value}\" must be")), "{says}");
            }
        }
    }

    #[test]
    fn wrong_rules_are_an_error_that_says_what_is_wrong() {
        let read = Settings::read(|name| (name == "PATH_RULES").then(|| r#"[{"keys": "a"}]"#.to_owned()));
        let says = read.unwrap_err().to_string();
        assert!(says.starts_with("PathRules: rule 1, paths null must be a list of 1 to 5 paths"), "{says}");
    }
}

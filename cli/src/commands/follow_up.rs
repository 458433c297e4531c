//! `thaw retry`, `expedite` and `extend`: restores of another restore's objects.

use serde_json::{Map, Value, json};
use thaw_core::{ObjectSelector, Usd};

use crate::answers::Restore;
use crate::api;
use crate::args::{ExpediteArgs, ExtendArgs, RetryArgs, Start};
use crate::commands::restore;
use crate::context::{Context, restore_path};
use crate::error::Error;
use crate::exit::Exit;
use crate::selection;

/// Which of another restore's objects, and what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowUp {
    /// Asks again for what failed or was cancelled.
    Retry,
    /// Asks at a faster tier for what S3 is still fetching.
    Expedite,
    /// Keeps copies for more days.
    Extend,
}

impl FollowUp {
    /// The word in the route.
    pub fn call(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Expedite => "expedite",
            Self::Extend => "extend",
        }
    }

    /// The word in `objects_of`.
    fn selector(self) -> ObjectSelector {
        match self {
            Self::Retry => ObjectSelector::Failed,
            Self::Expedite => ObjectSelector::Restoring,
            Self::Extend => ObjectSelector::Published,
        }
    }

    /// The beginning of the question.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Retry => "Ask again for",
            Self::Expedite => "Ask at a faster tier for",
            Self::Extend => "Keep",
        }
    }
}

/// Asks again for what failed or was cancelled.
pub fn retry(args: &RetryArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let mut changes = Map::new();
    selection::set(&mut changes, &args.how);
    run(FollowUp::Retry, &args.id, changes, args.how.max_cost, &args.start, context)
}

/// Asks at a faster tier for what S3 is still fetching.
pub fn expedite(args: &ExpediteArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let changes = Map::from_iter([("tier".to_owned(), json!(args.tier))]);
    run(FollowUp::Expedite, &args.id, changes, args.max_cost, &args.start, context)
}

/// Keeps copies for more days.
pub fn extend(args: &ExtendArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let changes = Map::from_iter([("days".to_owned(), json!(args.days))]);
    run(FollowUp::Extend, &args.id, changes, args.max_cost, &args.start, context)
}

/// Plans the objects, asks, and starts the restore with the price that was shown as its limit.
fn run(
    follow_up: FollowUp,
    id: &str,
    mut changes: Map<String, Value>,
    max_cost: Option<Usd>,
    start: &Start,
    context: &Context<'_>,
) -> Result<Exit, Error> {
    let path = restore_path(id)?;
    let mut api = context.connect()?;
    let (answer, _) = api.get(&path)?;
    let answer = api.post("/v1/plans", &plan_request(follow_up, &api::read(&answer)?, &changes), None)?;
    let Some(agreed) = restore::planned(&answer, max_cost, start, follow_up.verb(), context)? else {
        return Ok(Exit::Done);
    };
    // The other restore's way of publishing is not known here, so its plan may differ. It costs no more than was shown.
    changes.insert("max_cost_usd".to_owned(), json!(max_cost.unwrap_or(agreed.price)));
    restore::start(&mut api, &format!("{path}/{}", follow_up.call()), changes, start, context)
}

/// The request that plans another restore's objects: at its tier and for its days, with the changes.
pub fn plan_request(follow_up: FollowUp, other: &Restore, changes: &Map<String, Value>) -> Value {
    let mut request = Map::from_iter([
        ("bucket".to_owned(), json!(other.bucket)),
        ("objects_of".to_owned(), json!({ "restore": other.id, "in": follow_up.selector() })),
    ]);
    // A retry of one that only published only publishes.
    if other.publish_only && matches!(follow_up, FollowUp::Retry) {
        request.insert("publish_only".to_owned(), json!(true));
    } else {
        request.insert("tier".to_owned(), json!(other.tier));
        request.insert("days".to_owned(), json!(other.days));
    }
    request.extend(changes.clone());
    request.remove("max_cost_usd");
    Value::from(request)
}

//! The budget of a day: what all restores of a stack may cost together, by their plans.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{Problem, RestoreId, Usd};

use crate::StepError;
use crate::ports::{Item, ItemKey, Ledger, Put};

/// What was planned on a day, restore by restore. A day has room for some four thousand in an item of the ledger; who
/// plans more has no use for a budget by the day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Day {
    /// The day, in UTC.
    day: String,
    /// The restores and what they were estimated at.
    planned: BTreeMap<RestoreId, Usd>,
    /// Counts the changes.
    revision: u64,
}

impl Item for Day {
    fn key(&self) -> ItemKey {
        ItemKey { pk: format!("B#{}", self.day), sk: "budget".to_owned() }
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

/// Sets the price of a restore aside, once, however often it is planned: that of its dearest plan.
///
/// Fails with `over-budget` if the day's budget does not allow it; then nothing is set aside.
pub async fn reserve(
    id: &RestoreId,
    price: Usd,
    budget: Usd,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<(), StepError> {
    let day = now.strftime("%Y-%m-%d").to_string();
    let new = Day { day, planned: BTreeMap::new(), revision: 0 };
    let mut known = ledger.get::<Day>(&new.key()).await?;
    for _ in 0..16 {
        let (mut next, is_new) = match &known {
            Some(known) => (Day { revision: known.revision + 1, ..known.clone() }, false),
            None => (new.clone(), true),
        };
        // Of several tries of a plan nobody knows yet which one is written: the dearest counts.
        let before = next.planned.remove(id);
        if before.is_some_and(|before| price <= before) {
            return Ok(());
        }
        let spent: Usd = next.planned.values().copied().sum();
        if spent + price > budget {
            return Err(Problem::over_budget(price, spent, budget).into());
        }
        next.planned.insert(id.clone(), price);
        let put = if is_new { ledger.insert(&next).await? } else { ledger.replace(&next).await? };
        match put {
            Put::Done => return Ok(()),
            Put::Lost(other) => known = Some(other),
        }
    }
    Err(StepError::Unavailable(format!("the budget of {}: lost sixteen races for it", new.day)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::now;
    use crate::memory::MemoryLedger;

    #[tokio::test]
    async fn a_day_has_its_budget_and_a_restore_is_set_aside_once() {
        let ledger = MemoryLedger::default();
        let usd = |dollars: i64| Usd::nanos(dollars * 1_000_000_000);
        let ask = async |id: &str, price, now| {
            let id = RestoreId::try_from(id.to_owned()).unwrap();
            reserve(&id, usd(price), usd(10), &ledger, now).await.map_err(|error| error.name())
        };
        assert_eq!(ask("a", 6, now()).await, Ok(()));
        assert_eq!(ask("a", 6, now()).await, Ok(()), "it was planned again");
        assert_eq!(ask("a", 11, now()).await, Err("InvalidRequest"), "and had become dearer");
        assert_eq!(ask("a", 5, now()).await, Ok(()));
        assert_eq!(ask("b", 5, now()).await, Err("InvalidRequest"));
        assert_eq!(ask("c", 4, now()).await, Ok(()), "what was refused took nothing");
        let tomorrow = now() + std::time::Duration::from_secs(86_400);
        assert_eq!(ask("b", 5, tomorrow).await, Ok(()));
    }
}

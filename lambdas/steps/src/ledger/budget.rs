//! Daily budgets: the sum of the planned prices of all restores of a stack, and of those that join what others began.
//!
//! A budget is exact with any number of concurrent plans, and a reservation costs the same on a busy day. One item
//! holds the sum and the last few reservations by restore, so that a second plan of a restore finds its reservation.
//! Older reservations have an item each and stay in the sum. A reservation is written to its own item before it leaves
//! the sum's item, so a restore that is found in neither has no reservation.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{RestoreId, Usd};
use tracing::info;

use crate::StepError;
use crate::ports::{Item, ItemKey, Ledger, Put};

/// Reservations that are kept in the sum's item. Few, because each reservation writes the whole item.
const RECENT: usize = 8;

/// Reservations that one call moves to items of their own. The sum's item of an earlier version has thousands.
const MOVED_AT_ONCE: usize = 25;

/// What a budget is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetKind {
    /// All restores of the stack (`DailyBudgetUsd`).
    Restores,
    /// Restores that join what others began (`JoinedMaxCostUsd`).
    Joined,
}

impl BudgetKind {
    fn as_str(self) -> &'static str {
        match self {
            // The name that earlier versions used.
            Self::Restores => "budget",
            Self::Joined => "joined",
        }
    }
}

/// The result of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// The price is reserved, by this call or an earlier one.
    Yes,
    /// The day's budget is too small, and nothing was reserved.
    No {
        /// What others have reserved.
        spent: Usd,
        /// Whether `note_told` was called for this budget and day.
        told: bool,
    },
}

/// The reservations of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Day {
    /// The day, in UTC.
    day: String,
    /// Which budget.
    #[serde(default = "restores")]
    purse: BudgetKind,
    /// Reservations that have no item of their own yet.
    planned: BTreeMap<RestoreId, Usd>,
    /// The sum of the reservations that have one.
    #[serde(default)]
    moved: Usd,
    /// Whether somebody was notified that the budget refused something.
    #[serde(default)]
    told: bool,
    /// Counts the changes.
    revision: u64,
}

/// Items of earlier versions have no `purse`: there was only this budget.
fn restores() -> BudgetKind {
    BudgetKind::Restores
}

impl Day {
    fn new(kind: BudgetKind, at: Timestamp) -> Self {
        let day = at.strftime("%Y-%m-%d").to_string();
        Self { day, purse: kind, planned: BTreeMap::new(), moved: Usd::default(), told: false, revision: 0 }
    }

    fn spent(&self) -> Usd {
        self.moved + self.planned.values().copied().sum()
    }

    fn reservation(&self, id: &RestoreId, usd: Usd) -> Reservation {
        Reservation { day: self.day.clone(), purse: self.purse, restore: id.clone(), usd, revision: 0 }
    }
}

impl Item for Day {
    fn key(&self) -> ItemKey {
        ItemKey { pk: format!("B#{}", self.day), sk: self.purse.as_str().to_owned() }
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

/// The reservation of a restore after it has left the sum's item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Reservation {
    day: String,
    purse: BudgetKind,
    restore: RestoreId,
    usd: Usd,
    revision: u64,
}

impl Item for Reservation {
    fn key(&self) -> ItemKey {
        ItemKey { pk: format!("B#{}", self.day), sk: format!("{}#{}", self.purse.as_str(), self.restore) }
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

/// Reserves the price of a restore in the budget of the day of `at`. A restore has one reservation however often it is
/// planned: that of its most expensive plan.
pub async fn reserve(
    kind: BudgetKind,
    id: &RestoreId,
    price: Usd,
    budget: Usd,
    ledger: &impl Ledger,
    at: Timestamp,
) -> Result<Reserved, StepError> {
    let new = Day::new(kind, at);
    let mut day = ledger.get::<Day>(&new.key()).await?;
    for _ in 0..16 {
        let is_new = day.is_none();
        let mut next = day.take().unwrap_or_else(|| new.clone());
        // Several attempts of a plan may run, and which one is written is not known yet. The highest price counts.
        let before = match next.planned.remove(id) {
            Some(before) => Some(before),
            None => {
                let moved = ledger.get::<Reservation>(&next.reservation(id, price).key()).await?;
                moved.map(|moved| moved.usd).inspect(|before| next.moved = next.moved.less(*before))
            }
        };
        if before.is_some_and(|before| price <= before) {
            return Ok(Reserved::Yes);
        }
        let spent = next.spent();
        if spent + price > budget {
            log_left(kind, budget.less(spent), budget);
            return Ok(Reserved::No { spent, told: next.told });
        }
        if next.planned.len() >= RECENT {
            move_some(&mut next, ledger).await?;
        }
        next.planned.insert(id.clone(), price);
        let put = if is_new {
            ledger.insert(&next).await?
        } else {
            next.revision += 1;
            ledger.replace(&next).await?
        };
        match put {
            Put::Done => {
                log_left(kind, budget.less(spent + price), budget);
                return Ok(Reserved::Yes);
            }
            Put::Lost(other) => day = Some(other),
        }
    }
    Err(StepError::Unavailable(format!("the budget of {}: lost sixteen races for it", new.day)))
}

/// Logs what is left of a day's budget of all restores. What may be spent for others is no metric.
fn log_left(kind: BudgetKind, left: Usd, budget: Usd) {
    match kind {
        BudgetKind::Restores => {
            let percent = if budget == Usd::default() { 0.0 } else { left.as_f64() / budget.as_f64() * 100.0 };
            info!(BudgetLeftPercent = percent, "of the day's budget of ${budget}, ${left} are left");
        }
        BudgetKind::Joined => {}
    }
}

/// Writes some reservations to items of their own, and then takes them out of the sum's item, which the caller writes.
/// A reservation never goes down, so a slow writer lowers none.
async fn move_some(day: &mut Day, ledger: &impl Ledger) -> Result<(), StepError> {
    let oldest: Vec<(RestoreId, Usd)> =
        day.planned.iter().take(MOVED_AT_ONCE).map(|(id, usd)| (id.clone(), *usd)).collect();
    for (id, usd) in oldest {
        let mut next = day.reservation(&id, usd);
        let mut put = ledger.insert(&next).await?;
        while let Put::Lost(there) = put {
            if there.usd >= usd {
                break;
            }
            next.revision = there.revision + 1;
            put = ledger.replace(&next).await?;
        }
        day.planned.remove(&id);
        day.moved = day.moved + usd;
    }
    Ok(())
}

/// Records that somebody was notified that the budget of that day refused something.
pub async fn note_told(kind: BudgetKind, ledger: &impl Ledger, at: Timestamp) -> Result<(), StepError> {
    let new = Day { told: true, ..Day::new(kind, at) };
    if let Put::Lost(day) = ledger.insert(&new).await? {
        let next = |day: &Day| (!day.told).then(|| Day { told: true, revision: day.revision + 1, ..day.clone() });
        crate::ledger::update::update(ledger, day, next).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::testing::memory::{MemoryLedger, item_size};
    use crate::testing::stack::now;

    fn usd(dollars: i64) -> Usd {
        Usd::nanos(dollars * 1_000_000_000)
    }

    fn id(name: &str) -> RestoreId {
        RestoreId::try_from(name.to_owned()).unwrap()
    }

    async fn ask(ledger: &MemoryLedger, name: &str, price: i64, budget: i64, at: Timestamp) -> bool {
        let reserved = reserve(BudgetKind::Restores, &id(name), usd(price), usd(budget), ledger, at).await.unwrap();
        reserved == Reserved::Yes
    }

    async fn sum(ledger: &MemoryLedger) -> Day {
        ledger.get::<Day>(&Day::new(BudgetKind::Restores, now()).key()).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_day_has_its_budget_and_a_restore_reserves_once() {
        let ledger = MemoryLedger::default();
        let ask = async |name, price, at| ask(&ledger, name, price, 10, at).await;
        assert!(ask("a", 6, now()).await);
        assert!(ask("a", 6, now()).await, "it was planned again");
        assert!(!ask("a", 11, now()).await, "and had become dearer");
        assert!(ask("a", 5, now()).await);
        assert!(!ask("b", 5, now()).await);
        assert!(ask("c", 4, now()).await, "what was refused took nothing");
        let tomorrow = now() + std::time::Duration::from_secs(86_400);
        assert!(ask("b", 5, tomorrow).await);
    }

    #[tokio::test]
    async fn the_two_budgets_are_independent() {
        let ledger = MemoryLedger::default();
        for kind in [BudgetKind::Restores, BudgetKind::Joined] {
            let asked = reserve(kind, &id("a"), usd(6), usd(10), &ledger, now()).await.unwrap();
            assert_eq!(asked, Reserved::Yes);
        }
        note_told(BudgetKind::Joined, &ledger, now()).await.unwrap();
        for (kind, told) in [(BudgetKind::Restores, false), (BudgetKind::Joined, true)] {
            let asked = reserve(kind, &id("b"), usd(6), usd(10), &ledger, now()).await.unwrap();
            assert_eq!(asked, Reserved::No { spent: usd(6), told });
        }
    }

    #[tokio::test]
    async fn a_moved_reservation_is_found_and_still_counts() {
        let ledger = MemoryLedger::default();
        for n in 0..30 {
            assert!(ask(&ledger, &n.to_string(), 1, 40, now()).await);
        }
        for n in 0..30 {
            assert!(ask(&ledger, &n.to_string(), 1, 30, now()).await, "{n} was planned again");
        }
        assert!(!ask(&ledger, "0", 12, 40, now()).await, "11 more are too many");
        assert_eq!(sum(&ledger).await.spent(), usd(30));
        assert!(ask(&ledger, "0", 11, 40, now()).await);
        assert!(ask(&ledger, "0", 11, 40, now()).await);
        assert_eq!(sum(&ledger).await.spent(), usd(40));
        assert!(!ask(&ledger, "another", 1, 40, now()).await);
        // Moved again, at its new price.
        for n in 30..60 {
            assert!(ask(&ledger, &n.to_string(), 1, 1_000, now()).await);
        }
        assert!(ask(&ledger, "0", 11, 70, now()).await);
        assert_eq!(sum(&ledger).await.spent(), usd(70));
    }

    #[tokio::test]
    async fn ten_thousand_restores_a_day_cost_as_much_each_as_the_first() {
        let ledger = MemoryLedger::default();
        let mut largest = 0;
        for n in 0..10_000 {
            let name = format!("2026-11-22_photos_weddings-2019_standard_{n:012x}");
            assert!(ask(&ledger, &name, 1, 10_000, now()).await);
            let day = sum(&ledger).await;
            largest = largest.max(item_size(&day.key(), &serde_json::to_value(&day).unwrap()));
        }
        assert!(largest <= 1_024, "{largest} bytes are more than one unit of writing");
        assert_eq!(sum(&ledger).await.spent(), usd(10_000));
        assert!(!ask(&ledger, "one-more", 1, 10_000, now()).await);
    }

    #[tokio::test]
    async fn a_budget_is_exact_however_many_ask_at_once() {
        let ledger = MemoryLedger::default();
        let names: Vec<String> = (0..120).map(|n| (n % 60).to_string()).collect();
        for some in names.chunks(12) {
            join_all(some.iter().map(|name| ask(&ledger, name, 1, 50, now()))).await;
        }
        assert_eq!(sum(&ledger).await.spent(), usd(50));
        let mut kept = 0;
        for n in 0..60 {
            kept += usize::from(ask(&ledger, &n.to_string(), 1, 50, now()).await);
        }
        assert_eq!(kept, 50);
    }

    #[tokio::test]
    async fn a_day_of_an_earlier_version_is_read_and_becomes_short() {
        #[derive(Clone, Serialize, Deserialize)]
        struct Old {
            day: String,
            planned: BTreeMap<String, f64>,
            revision: u64,
        }
        impl Item for Old {
            fn key(&self) -> ItemKey {
                ItemKey { pk: format!("B#{}", self.day), sk: "budget".to_owned() }
            }
            fn revision(&self) -> u64 {
                self.revision
            }
        }
        let ledger = MemoryLedger::default();
        let planned = (0..100).map(|n| (format!("old-{n}"), 1.0)).collect();
        let old = Old { day: now().strftime("%Y-%m-%d").to_string(), planned, revision: 3 };
        ledger.insert(&old).await.unwrap();
        for n in 0..10 {
            assert!(ask(&ledger, &n.to_string(), 1, 110, now()).await);
        }
        for n in 0..100 {
            assert!(ask(&ledger, &format!("old-{n}"), 1, 110, now()).await);
        }
        let day = sum(&ledger).await;
        assert_eq!((day.spent(), day.planned.len() <= RECENT + 1), (usd(110), true));
    }
}

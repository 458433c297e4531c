//! Optimistic concurrency: a write is conditional on the revision that was read. A writer that loses the race reads
//! what the winner wrote and tries again, up to sixteen times.

use crate::StepError;
use crate::ports::{Item, ItemKey, Ledger, Put};

/// Replaces an item by `next` of it; `None` leaves it as it is. After a lost race `next` is applied to what the winner
/// wrote. Answers the item as it is now.
pub async fn update<T: Item>(ledger: &impl Ledger, item: T, next: impl Fn(&T) -> Option<T>) -> Result<T, StepError> {
    let mut current = item;
    for _ in 0..16 {
        let Some(next) = next(&current) else { return Ok(current) };
        match ledger.replace(&next).await? {
            Put::Done => return Ok(next),
            Put::Lost(other) => current = other,
        }
    }
    let ItemKey { pk, sk } = current.key();
    Err(StepError::Unavailable(format!("{pk} {sk}: lost sixteen races for it")))
}

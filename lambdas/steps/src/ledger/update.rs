//! Optimistic concurrency: a write is conditional on the revision that was read, and whoever loses the race starts over.

use crate::StepError;
use crate::ports::{Item, ItemKey, Ledger, Put};

/// Replaces an item by what follows from it, nothing if it is to stay; whoever loses the race goes on from what the winner
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

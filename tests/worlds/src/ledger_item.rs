//! Items of the ledger as the types that they hold.

use serde::de::DeserializeOwned;
use thaw_core::Row;
use thaw_steps::ports::{Item, ItemKey};

/// Whether an item is a row: its partition is an object, `<bucket>/<key>`.
pub(crate) fn is_row(key: &ItemKey) -> bool {
    key.pk.contains('/')
}

/// An item as a row.
pub(crate) fn as_row<T: Item>(item: &T) -> Row {
    convert(item)
}

/// An item as another type.
pub(crate) fn convert<T: Item, U: DeserializeOwned>(item: &T) -> U {
    let json = serde_json::to_value(item).unwrap_or_default();
    serde_json::from_value(json).unwrap_or_else(|error| panic!("{:?} has another type: {error}", item.key()))
}

//! What is said of a restore and its objects: made from the ledger's items, never kept.

pub mod object_view;
pub mod restore_view;

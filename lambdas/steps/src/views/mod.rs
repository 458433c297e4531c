//! The API's view of a restore and its objects: made from the ledger's items for each answer, never stored.

pub mod object_view;
pub mod paths_view;
pub mod restore_view;

//! What a request would do, and how it becomes a restore.

pub mod accepting;
pub mod draft;
pub mod sources;
pub mod survey;

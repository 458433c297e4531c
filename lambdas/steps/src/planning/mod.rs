//! Surveys and prices requests, and turns them into restores.

pub mod accepting;
pub mod draft;
pub mod sources;
pub mod survey;

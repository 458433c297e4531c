//! The laws that the targets feed: those of the properties, compiled once more.

#[path = "../../core/tests/properties/laws.rs"]
pub mod core;
#[path = "../../tests/it/properties/laws.rs"]
pub mod steps;
#[path = "../../core/tests/properties/source_laws.rs"]
pub mod sources;

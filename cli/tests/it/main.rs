//! The command as its user sees it: against an API with prepared answers, on a terminal, and on a running local stack.

mod api;
mod commands;
mod console;
mod doctor;
#[cfg(feature = "local-stack")]
mod local_stack;
#[path = "../../../tests/it/openapi/schema.rs"]
mod schema;
mod snapshots;
mod terminal;

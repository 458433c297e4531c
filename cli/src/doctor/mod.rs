//! `thaw doctor`: what would keep a restore from being seen, or make it dear.
//!
//! [`read`] asks AWS and the API, and makes [`facts`] of their answers. [`checks`] are pure functions from facts to
//! [`finding`]s. Nothing here changes anything.

pub mod checks;
pub mod facts;
pub mod finding;
mod mend;
mod policy;
pub mod read;

//! S3's restores and CloudFront's cache as one stateful model.
//!
//! - [`Sim`] is the model: plain calls with the time as an argument, no I/O, the same every time.
//! - [`Clock`] is the time to give it: moved by hand in a test, scaled in a server.
//! - `serve` (feature `serve`) puts the model behind the wire protocols of S3 and CloudFront, with an edge for viewers.
//!
//! ```
//! use thaw_sim::model::{PutRequest, RestoreRequest, RetrievalTier, Sim, StorageClass};
//!
//! let mut sim = Sim::default();
//! let now = "2026-01-01T10:30:00Z".parse().unwrap();
//! sim.create_bucket("photos", false);
//! sim.put_object(PutRequest::new("photos", "cat.jpg", StorageClass::Glacier, "meow"), now).unwrap();
//!
//! let request = RestoreRequest::new("photos", "cat.jpg", Some(3), Some(RetrievalTier::Standard));
//! assert_eq!(sim.restore_object(&request, now).unwrap().status(), 202);
//! assert_eq!(sim.restore_object(&request, now).unwrap_err().code(), "RestoreAlreadyInProgress");
//! ```

pub mod cdn;
mod clock;
pub mod model;
#[cfg(feature = "ports")]
pub mod ports;
#[cfg(feature = "serve")]
pub mod serve;

pub use clock::Clock;
pub use model::Sim;

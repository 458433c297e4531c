//! Property tests: generated inputs for everything that thaw reads, checked against laws.

mod filter;
mod job;
mod laws;
mod manifest;
mod request;
mod restore_header;
mod s3_event;
mod source_laws;

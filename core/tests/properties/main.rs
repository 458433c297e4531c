//! Inputs that nobody thought of, against the laws.

mod filter;
mod job;
mod laws;
mod manifest;
mod request;
mod restore_header;
mod s3_event;
mod source_laws;

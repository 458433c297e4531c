//! Inputs that nobody thought of, against the laws.

mod laws;
mod request;
mod restore_header;
mod s3_event;

//! A request's body.

#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| thaw_fuzz::core::request(body));

//! A `manifest.json`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| thaw_fuzz::sources::inventory(bytes));

//! A pattern in a line, then a key.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (pattern, key) = text.split_once('\n').unwrap_or((text, ""));
    thaw_fuzz::sources::glob(pattern, key);
});

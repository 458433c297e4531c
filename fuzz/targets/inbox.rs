//! A file's name in a line, if S3 could have it in the inbox, and its content.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let Ok(name) = std::str::from_utf8(&bytes[..end]) else { return };
    if (1..=1_000).contains(&name.len()) && !name.ends_with('/') && !name.ends_with(".answer.json") {
        thaw_fuzz::steps::inbox(name, &bytes[end + 1..]);
    }
});

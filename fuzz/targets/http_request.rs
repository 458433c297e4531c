//! An event of API Gateway, at every door.

#![no_main]

libfuzzer_sys::fuzz_target!(|event: &[u8]| {
    if let Ok(request) = serde_json::from_slice(event) {
        thaw_fuzz::steps::doors(&request);
    }
});

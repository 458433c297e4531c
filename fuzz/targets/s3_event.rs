//! Messages of S3, one a line: a batch of a queue.

#![no_main]

libfuzzer_sys::fuzz_target!(|batch: &str| {
    let messages: Vec<&str> = batch.lines().take(10).collect();
    for message in &messages {
        thaw_fuzz::core::s3_events(message);
    }
    thaw_fuzz::steps::queues(&messages);
});

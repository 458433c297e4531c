//! `x-amz-storage-class`, `x-amz-archive-status` and `x-amz-restore`, one a line; an empty one is one that is not there.

#![no_main]

use thaw_core::Head;

libfuzzer_sys::fuzz_target!(|headers: &str| {
    let mut lines = headers.splitn(3, '\n').map(|line| Some(line.to_owned()).filter(|line| !line.is_empty()));
    let mut next = || lines.next().flatten();
    let head = Head { storage_class: next(), archive_status: next(), restore: next(), ..Head::default() };
    thaw_fuzz::core::readability(&head, "2012-12-20T12:00:00Z".parse().unwrap());
});

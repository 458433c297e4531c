//! A distribution, in the few words of `read_config`, and after the first line's end a key.

#![no_main]

use thaw_fuzz::steps::{is_config, paths, read_config};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Some((config, key)) = text.split_once('\n') else { return };
    if is_config(config) && (1..=1_024).contains(&key.len()) {
        paths(read_config(config), key);
    }
});

//! IDX files, plain and compressed, and shards.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point")]

libfuzzer_sys::fuzz_target!(init: syngrad_fuzz::sow("idx"), |data: &[u8]| syngrad_fuzz::idx::check(data));

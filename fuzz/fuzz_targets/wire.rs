//! Messages of a session and requests for shards, both ways.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point")]

libfuzzer_sys::fuzz_target!(init: syngrad_fuzz::sow("wire"), |data: &[u8]| syngrad_fuzz::wire::check(data));

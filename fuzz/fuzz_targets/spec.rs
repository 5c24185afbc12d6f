//! Run spec files, TOML and JSON.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point")]

libfuzzer_sys::fuzz_target!(init: syngrad_fuzz::sow("spec"), |data: &[u8]| syngrad_fuzz::spec::check(data));

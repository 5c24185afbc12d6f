//! Training states, as checkpoints hold them.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point")]

libfuzzer_sys::fuzz_target!(init: syngrad_fuzz::sow("state"), |data: &[u8]| syngrad_fuzz::state::check(data));

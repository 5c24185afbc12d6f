//! Sums, of payloads that may be anything.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point")]

libfuzzer_sys::fuzz_target!(init: syngrad_fuzz::sow("aggregate"), |data: &[u8]| syngrad_fuzz::aggregate::check(data));

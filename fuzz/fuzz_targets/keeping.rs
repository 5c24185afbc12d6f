//! What is kept and when, event by event.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point")]

libfuzzer_sys::fuzz_target!(init: syngrad_fuzz::sow("keeping"), |data: &[u8]| syngrad_fuzz::keeping::check(data));

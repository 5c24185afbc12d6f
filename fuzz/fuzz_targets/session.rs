//! A worker's decisions, event by event.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point")]

libfuzzer_sys::fuzz_target!(init: syngrad_fuzz::sow("session"), |data: &[u8]| syngrad_fuzz::session::check(data));

//! Payloads in frames, cut anywhere.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point")]

libfuzzer_sys::fuzz_target!(init: syngrad_fuzz::sow("payload"), |data: &[u8]| syngrad_fuzz::payload::check(data));

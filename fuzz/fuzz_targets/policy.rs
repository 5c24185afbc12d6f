//! A partner's policy file, its hours, and the bounds on what leaves.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point")]

libfuzzer_sys::fuzz_target!(init: syngrad_fuzz::sow("policy"), |data: &[u8]| syngrad_fuzz::policy::check(data));

//! Addresses, names and identifiers.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point")]

libfuzzer_sys::fuzz_target!(init: syngrad_fuzz::sow("names"), |data: &[u8]| syngrad_fuzz::names::check(data));

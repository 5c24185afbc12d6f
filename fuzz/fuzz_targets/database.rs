//! A coordinator's state folder with anything in its files.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point")]

libfuzzer_sys::fuzz_target!(init: syngrad_fuzz::sow("database"), |data: &[u8]| syngrad_fuzz::database::check(data));

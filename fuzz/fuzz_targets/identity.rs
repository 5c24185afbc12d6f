//! Tickets, certificates, the names in them, and requests for one.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point")]

libfuzzer_sys::fuzz_target!(init: syngrad_fuzz::sow("identity"), |data: &[u8]| syngrad_fuzz::identity::check(data));

//! Receipts, their proofs, and the files of an archive.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's entry point")]

libfuzzer_sys::fuzz_target!(init: syngrad_fuzz::sow("receipt"), |data: &[u8]| syngrad_fuzz::receipt::check(data));

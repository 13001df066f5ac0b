//! Bucket policies: see `host/core/src/access/policy/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sallyport_core::fuzzing::policy(input));

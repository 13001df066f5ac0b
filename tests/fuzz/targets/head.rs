//! Heads of requests and their signatures: see `host/s3/src/fuzzing/head.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sallyport_s3::fuzzing::head(input));

//! Ranges and conditions of requests: see `host/s3/src/fuzzing/conditional.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sallyport_s3::fuzzing::conditional(input));

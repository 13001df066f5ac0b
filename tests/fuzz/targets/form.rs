//! Browser forms and their policies: see `host/s3/src/fuzzing/form.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sallyport_s3::fuzzing::form(input));

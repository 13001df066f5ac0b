//! XML documents of requests: see `host/s3/src/fuzzing/xml.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sallyport_s3::fuzzing::xml(input));

//! Checksums and aws-chunked bodies: see `host/s3/src/fuzzing/checksum.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sallyport_s3::fuzzing::checksum(input));

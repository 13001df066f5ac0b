//! Whom a location may talk to: see `host/plugin/src/fuzzing/egress.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sallyport_plugin::fuzzing::egress(input));

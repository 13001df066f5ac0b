//! What plugins say: see `host/plugin/src/fuzzing/answers.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sallyport_plugin::fuzzing::answers(input));

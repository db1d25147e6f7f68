#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cliproxy_fuzz::stream(cliproxy_wire::Format::Gemini, data));

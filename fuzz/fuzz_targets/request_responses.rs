#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cliproxy_fuzz::request(cliproxy_wire::Format::Responses, data));

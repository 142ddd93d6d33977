#![no_main]
mod reader;

libfuzzer_sys::fuzz_target!(|body: &[u8]| reader::read("schema-org", doorstep::adapter::Format::Json, body));

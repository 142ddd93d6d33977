#![no_main]
mod reader;

libfuzzer_sys::fuzz_target!(|body: &[u8]| reader::read("labour-office", doorstep::adapter::Format::Csv, body));

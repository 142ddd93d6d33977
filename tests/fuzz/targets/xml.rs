#![no_main]
mod reader;

libfuzzer_sys::fuzz_target!(|body: &[u8]| reader::read("rss", doorstep::adapter::Format::Xml, body));

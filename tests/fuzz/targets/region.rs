#![no_main]

libfuzzer_sys::fuzz_target!(|texts: (&str, &str)| {
    let _ = doorstep::domain::normalize::region(texts.0, texts.1);
});

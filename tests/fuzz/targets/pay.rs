#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let pay = doorstep::domain::normalize::pay(text).pay;
    assert!(pay.min.zip(pay.max).is_none_or(|(min, max)| min <= max));
});

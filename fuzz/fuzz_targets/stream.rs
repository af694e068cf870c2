#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pbft_fuzz::check(&pbft_fuzz::target("stream"), input));

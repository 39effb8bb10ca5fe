#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cloud::testing::wire::trying(bytes));

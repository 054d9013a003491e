//! A node's URL. What must be true of it is the test kit's.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quorlock_testkit::fuzz::Target;

fuzz_target!(|input: &[u8]| {
    if let Err(wrong) = Target::Url.check(input) {
        panic!("{wrong}");
    }
});

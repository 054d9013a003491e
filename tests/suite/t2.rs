//! Scratch root of helper 2: goes away when the suite is joined.
#![allow(dead_code)]

mod support;

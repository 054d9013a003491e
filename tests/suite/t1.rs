//! Scratch root of helper 1: goes away when the suite is joined.
#![allow(dead_code)]

mod support;

//! A lock and its release, and what they are made of, under callgrind. What a lock meets lives in the library of this crate, what
//! the counts are held against in `main.rs`.

#![allow(missing_docs, unused_qualifications, reason = "of what the macros make")]

use std::hint::black_box;

use gungraun::{
    Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use quorlock::seam::fuzz;
use quorlock_instructions::{OFF_THE_BOOKS, REPEATS, Wish, World};

fn repeat<T>(mut once: impl FnMut() -> T) {
    for _ in 0..REPEATS {
        black_box(once());
    }
}

// The world is given back, so that its end is not counted.
#[library_benchmark]
#[bench::plain(World::new(Wish::Plain))]
#[bench::fenced(World::new(Wish::Fenced))]
#[bench::three(World::new(Wish::Three))]
#[bench::eight_at_once(World::new(Wish::Eight))]
fn lock(world: World) -> World {
    world.a_hundred();
    world
}

#[library_benchmark]
#[bench::one(World::new(Wish::Extend))]
fn extend(world: World) -> World {
    world.a_hundred();
    world
}

#[library_benchmark]
#[bench::usual(b"+OK\r\n")]
#[bench::counted(b"*2\r\n:1\r\n:1764000000000000\r\n")]
fn first_answer(bytes: &[u8]) {
    repeat(|| fuzz::first_answer(black_box(bytes), usize::MAX));
}

#[library_benchmark]
#[bench::granted(b"+OK\r\n")]
#[bench::refused(b"-NOPERM no right to that\r\n")]
fn replies(bytes: &[u8]) {
    repeat(|| fuzz::replies(black_box(bytes)));
}

#[library_benchmark]
#[bench::one(&["orders:42"])]
#[bench::three(&["orders:42", "stock:a", "stock:b"])]
fn keys(names: &[&str]) {
    repeat(|| fuzz::keys(black_box(names), "shop:"));
}

#[library_benchmark]
#[bench::plain("redis://user:password@10.0.0.1:6380/2")]
fn url(url: &str) {
    repeat(|| fuzz::url(black_box(url)));
}

library_benchmark_group!(name = locks, benchmarks = [lock, extend]);
library_benchmark_group!(name = parts, benchmarks = [first_answer, replies, keys, url]);

/// Of the C library: instructions that fill or copy a whole block count once for each byte of it, and whether they are used for
/// blocks of some kilobytes depends on the machine. With this they are not.
const NO_REPEATED_STORES: &str =
    "glibc.cpu.x86_rep_stosb_threshold=1000000000:glibc.cpu.x86_rep_movsb_threshold=1000000000";

main!(
    config = LibraryBenchmarkConfig::default()
        .env("GLIBC_TUNABLES", NO_REPEATED_STORES)
        .tool(Callgrind::with_args(["cache-sim=no", &format!("toggle-collect={OFF_THE_BOOKS}")])),
    library_benchmark_groups = [locks, parts]
);

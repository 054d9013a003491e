//! The public surface of the library, as a list that is checked in: who changes it sees it, and so does who reads the
//! change. How the list is made from the source lives in `surface.rs`.

mod surface;
mod text;

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use self::surface::Surface;

/// Set to anything, it writes the list instead of comparing it.
const RENEW: &str = "QUORLOCK_RENEW";

#[test]
fn the_public_surface_is_the_one_that_is_checked_in() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = package.join("tests/public_api/list.txt");
    let found = Surface::of(&package.join("src")).to_string();
    if env::var_os(RENEW).is_some() {
        fs::write(&place, &found).expect("the list can be written");
        return;
    }
    let known = fs::read_to_string(&place).unwrap_or_default();
    if known != found {
        panic!(
            "the public surface has changed:\n\n{}\n\nIf it should, say so in CHANGELOG.md, and renew the list:\n\n    \
             {RENEW}=1 cargo test -p quorlock --test public_api\n",
            difference(&known, &found)
        );
    }
}

/// What can grow later without breaking anybody is marked so; what is wasted when it is ignored says so, and why.
#[test]
fn what_may_grow_and_what_must_be_used_is_marked() {
    let surface = Surface::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).to_string();
    let complaints = unmarked(&surface);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn unmarked(surface: &str) -> Vec<String> {
    let lines = || surface.lines();
    let grows = |line: &&str| {
        let open = line.contains("#[non_exhaustive]");
        let variant = !line.contains(": pub ") && line.ends_with(" }") && !line.contains("impl");
        // Its documentation says that its variants are complete.
        let complete = line.starts_with("InvalidInput: ");
        !open && !complete && (line.contains("pub enum ") || variant)
    };
    let grows = lines().filter(grows).map(|line| format!("without `non_exhaustive`: {line}"));
    let mute = lines().filter(|line| line.contains("must_use (without a reason)"));
    let mute = mute.map(str::to_owned);
    // A future, a request, or what does something when it is dropped.
    let idle = ["impl Future for ", "impl IntoFuture for ", "impl Drop for "];
    let idle =
        lines().filter_map(move |line| idle.iter().find_map(|start| line.strip_prefix(start)));
    let idle = idle.filter_map(|rest| rest.split([' ', '<']).next()).filter(|name| {
        let ends = [format!("pub struct {name}"), format!("pub struct {name}<")];
        let is_it = |line: &str| line.ends_with(&ends[0]) || line.contains(&ends[1]);
        !lines().any(|line| is_it(line) && line.contains("#[must_use]"))
    });
    let idle = idle.map(|name| format!("without `must_use`: {name}"));
    grows.chain(mute).chain(idle).collect()
}

#[test]
fn what_is_not_marked_is_complained_about() {
    let bad = "pub enum A\nA: B { c: u8 }\nA: D\n#[must_use (without a reason)] pub fn e()\n\
               pub struct F\nimpl Drop for F\n#[non_exhaustive] pub enum G\nG: #[non_exhaustive] H { i: u8 }";
    let expected = [
        "without `non_exhaustive`: pub enum A",
        "without `non_exhaustive`: A: B { c: u8 }",
        "#[must_use (without a reason)] pub fn e()",
        "without `must_use`: F",
    ];
    assert_eq!(unmarked(bad), expected);
}

fn difference(known: &str, found: &str) -> String {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (known.lines().collect(), found.lines().collect());
    let gone = old.difference(&new).map(|line| format!("- {line}"));
    let come = new.difference(&old).map(|line| format!("+ {line}"));
    gone.chain(come).collect::<Vec<_>>().join("\n")
}

fn list(files: &[(&str, &str)]) -> Vec<String> {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    Surface::parse(files).to_string().lines().map(str::to_owned).collect()
}

#[test]
fn what_is_public_and_not_hidden_is_listed() {
    let lib =
        "mod a; pub use crate::a::{A, B, T}; #[doc(hidden)] pub mod seam { pub use crate::a::H; }";
    let a = r#"
        #[derive(Clone)] #[non_exhaustive] pub struct A { pub x: u8, y: u8 }
        pub struct H;
        #[must_use = "why"] pub enum B { #[non_exhaustive] C { d: Vec<u8> }, E(#[from] A) }
        pub trait T: Send { const N: usize = 1; fn t(&self) -> &'static str; fn u() {} }
        macro_rules! both { () => { pub fn of_both(mut self) -> Self { self } }; }
        impl A {
            pub const MAX: usize = 3;
            pub async fn go<U: Into<String>>(&self, u: impl Fn(U) -> u8) -> Result<(), B> { todo!() }
            both!();
            fn private() {}
            pub(crate) fn inside() {}
            #[doc(hidden)] pub fn hidden() {}
        }
        impl IntoFuture for A { type Output = u8; fn into_future(self) {} }
        impl<T: Into<String>> From<[T; 2]> for A { fn from(t: [T; 2]) -> Self { todo!() } }
        impl T for H {}
    "#;
    let expected = [
        "#[derive(Clone)] #[non_exhaustive] pub struct A",
        "A: pub x: u8",
        "A: pub async fn go<U: Into<String>>(&self, u: impl Fn(U) -> u8) -> Result<(), B>",
        "A: pub const MAX: usize",
        "A: pub fn of_both(self) -> Self",
        "impl IntoFuture for A { type Output = u8 }",
        "impl<T: Into<String>> From<[T; 2]> for A",
        "#[must_use] pub enum B",
        "B: #[non_exhaustive] C { d: Vec<u8> }",
        "B: E(#[from] A)",
        "pub trait T: Send",
        "T: const N: usize (provided)",
        "T: fn t(&self) -> &'static str",
        "T: fn u() (provided)",
    ];
    assert_eq!(list(&[("lib.rs", lib), ("a.rs", a)]), expected);
}

#[test]
fn a_feature_a_module_and_a_new_name_are_part_of_it() {
    let lib = r#"mod a; #[cfg(feature = "f")] pub use crate::a::A as B; pub mod m { pub use crate::a::C; pub fn g(x: u8) {} }"#;
    let a = "pub struct A; pub type C = u8; impl A { #[cfg(feature = \"g\")] pub fn a() {} }";
    let expected = [
        "#[cfg(feature = \"f\")] pub struct B",
        "B: #[cfg(feature = \"g\")] pub fn a()",
        "pub type m::C = u8",
        "pub fn m::g(x: u8)",
    ];
    assert_eq!(list(&[("lib.rs", lib), ("a.rs", a)]), expected);
}

#[test]
#[should_panic = "`A` is exported, but defined nowhere"]
fn a_name_that_is_not_found_is_not_passed_over() {
    list(&[("lib.rs", "pub use crate::a::A;"), ("a.rs", "struct A;")]);
}

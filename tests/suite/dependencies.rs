//! What the library is built from: no licence that is not on the list, no compiler that is newer than ours, nothing from
//! elsewhere. Reads cargo's own account of the lock file; builds nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
}

/// Every package of the lock file, our own among them.
///
/// A machine that has only built for itself lacks the packages of other platforms: then cargo has to fetch them, once.
fn packages() -> Vec<Value> {
    let all =
        metadata(&["--offline"]).or_else(|_| metadata(&[])).expect("cargo reads its lock file");
    let packages = all["packages"].as_array().expect("a list").clone();
    assert!(packages.len() > 50, "the tree was found: {}", packages.len());
    packages
}

fn metadata(more: &[&str]) -> Result<Value, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--format-version=1", "--all-features", "--locked"]).args(more);
    let output = cargo.current_dir(root()).output().expect("cargo can be started");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

fn text<'a>(package: &'a Value, field: &str) -> &'a str {
    package[field].as_str().unwrap_or_default()
}

fn name(package: &Value) -> String {
    format!("{} {}", text(package, "name"), text(package, "version"))
}

#[track_caller]
fn assert_none(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<_> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_licence_is_on_the_list_and_every_one_of_the_list_is_needed() {
    let deny = std::fs::read_to_string(root().join("deny.toml")).expect("there is a deny.toml");
    let allowed = strings_of(&deny, "allow = [");
    assert!(allowed.contains("MIT"), "the list was found");
    let packages = packages();
    let refused = packages.iter().filter(|package| !is_allowed(text(package, "license"), &allowed));
    assert_none(refused.map(|package| format!("{}: {:?}", name(package), package["license"])));
    let without = |left: &String| {
        let rest: BTreeSet<_> = allowed.iter().filter(|one| *one != left).cloned().collect();
        packages.iter().all(|package| is_allowed(text(package, "license"), &rest))
    };
    // A choice of two is no need: MIT or Apache-2.0 could each be left out of most.
    let idle = allowed.iter().filter(|one| !matches!(one.as_str(), "MIT" | "Apache-2.0"));
    assert_none(idle.filter(|one| without(one)).map(|one| format!("nobody needs {one}")));
}

/// The quoted words between `start` and the next `]`.
fn strings_of(toml: &str, start: &str) -> BTreeSet<String> {
    let (_, rest) = toml.split_once(start).expect("the list is there");
    let list = rest.split(']').next().unwrap_or_default();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every part joined by `AND` has a choice that is allowed. Where brackets say otherwise this is too strict, never too lax.
fn is_allowed(licence: &str, allowed: &BTreeSet<String>) -> bool {
    let plain = licence.replace(['(', ')'], "").replace('/', " OR ");
    !plain.is_empty()
        && plain
            .split(" AND ")
            .all(|part| part.split(" OR ").any(|one| allowed.contains(one.trim())))
}

/// So that the tests of the whole workspace are tests of all of them.
#[test]
fn the_suite_asks_for_every_feature_of_the_library() {
    let packages = packages();
    let of = |name: &str| {
        let found = packages.iter().find(|package| text(package, "name") == name);
        found.expect("it is in the workspace")
    };
    let features = of("quorlock")["features"].as_object().expect("a table");
    let needed = of("quorlock-tests")["dependencies"].as_array().expect("a list");
    let ours = needed.iter().find(|needed| text(needed, "name") == "quorlock");
    let asked = ours.expect("it tests the library")["features"].as_array().expect("a list");
    assert!(features.len() >= 4, "they were found: {features:?}");
    let missing = features.keys().filter(|name| !asked.iter().any(|asked| asked == name.as_str()));
    assert_none(missing.map(|name| format!("not asked for: {name}")));
}

#[test]
fn no_dependency_needs_a_newer_compiler_than_we_ask_for() {
    let packages = packages();
    let ours = packages.iter().find(|package| text(package, "name") == "quorlock");
    let ours = number(text(ours.expect("our own package"), "rust_version"));
    assert!(ours >= [1, 89, 0], "our own is stated: {ours:?}");
    let newer = packages.iter().filter(|package| number(text(package, "rust_version")) > ours);
    assert_none(newer.map(|package| format!("{}: {}", name(package), package["rust_version"])));
}

/// A version as three numbers; one that is not stated is as old as can be.
fn number(version: &str) -> [u32; 3] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or_default());
    [(); 3].map(|()| parts.next().unwrap_or_default())
}

#[test]
fn everything_comes_from_the_public_registry_or_from_here() {
    let packages = packages();
    let others = packages.iter().filter(|package| match package["source"].as_str() {
        None => !Path::new(text(package, "manifest_path")).starts_with(root()),
        Some(source) => !(source.starts_with("registry+") && source.ends_with("crates.io-index")),
    });
    assert_none(others.map(|package| format!("{}: {}", name(package), package["source"])));
    let banned = ["openssl-sys", "native-tls", "aws-lc-sys", "async-std"];
    let banned = packages.iter().filter(|package| banned.contains(&text(package, "name")));
    assert_none(banned.map(name));
}

#[test]
fn a_licence_is_allowed_only_if_every_part_of_it_is() {
    let allowed = ["MIT", "ISC"].map(str::to_owned).into();
    for good in ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "(GPL-3.0 OR MIT) AND ISC"] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "GPL-3.0 WITH MIT", "(MIT OR ISC) AND GPL-3.0"] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
    assert!(
        number("1.89") < number("1.89.1")
            && number("1.9") < number("1.10")
            && number("") < number("1")
    );
}

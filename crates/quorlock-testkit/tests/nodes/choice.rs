//! Which back end a process gets, and what it says about that: seen from outside, since a process
//! chooses once.

use std::process::{Command, Output};

use crate::cleanup::{HELPER, ROLE, STARTED};

/// Runs the helper where no program can be found, unless the variables say where one is.
fn helper(variables: &[(&str, &str)]) -> Output {
    let this = std::env::current_exe().expect("a test has a file");
    Command::new(this)
        .args(["--exact", HELPER, "--nocapture"])
        .env_remove("QUORLOCK_REDIS_SERVER")
        .env("PATH", "")
        .env(ROLE, "ends")
        .envs(variables.iter().copied())
        .output()
        .expect("this program runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn where_nothing_is_installed_nodes_are_embedded_and_it_is_said_why_once() {
    let output = helper(&[("QUORLOCK_BACKEND", "auto")]);
    let said = text(&output);
    assert!(output.status.success() && said.contains(STARTED), "{said}");
    assert_eq!(said.matches("quorlock-testkit: embedded").count(), 1, "{said}");
    assert!(said.contains("containers: no docker command on PATH"), "{said}");
    assert!(
        said.contains("processes: neither redis-server nor valkey-server is on PATH"),
        "{said}"
    );
}

#[test]
fn what_is_asked_for_and_cannot_be_had_is_an_error_that_says_what_to_do() {
    let processes = ("QUORLOCK_BACKEND", "processes");
    let missing = ("QUORLOCK_REDIS_SERVER", "/nowhere/redis-server");
    for (variables, hint) in [
        (&[processes][..], "install one or name it in QUORLOCK_REDIS_SERVER"),
        (&[processes, missing], "QUORLOCK_REDIS_SERVER=/nowhere/redis-server does not run"),
        (&[("QUORLOCK_BACKEND", "containers")], "no docker command on PATH"),
        (&[("QUORLOCK_BACKEND", "docker")], "say auto, containers, processes or embedded"),
    ] {
        let output = helper(variables);
        let said = text(&output);
        assert!(!output.status.success() && !said.contains(STARTED), "{variables:?}: {said}");
        assert!(said.contains(hint), "{variables:?}: {said}");
    }
}

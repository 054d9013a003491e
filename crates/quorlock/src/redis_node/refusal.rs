//! What an error of a node means: which class it is of, and what of it may be told. Other answers are `reply.rs`'s.

use redis::RedisError;

use crate::error::{Failure, NodeErrorKind};

/// Codes that say: nothing was done, and it may be done another time.
const REFUSED: [&str; 10] = [
    "OOM",
    "READONLY",
    "LOADING",
    "MISCONF",
    "BUSY",
    "NOREPLICAS",
    "MASTERDOWN",
    "TRYAGAIN",
    "NOSCRIPT",
    "WRONGTYPE",
];
/// Codes that say: nothing was done, nor will be until a configuration is changed.
const MISCONFIGURED: [&str; 8] =
    ["NOAUTH", "NOPERM", "WRONGPASS", "MOVED", "ASK", "CROSSSLOT", "CLUSTERDOWN", "FENCE"];
/// The same for errors without a code of their own, by how they begin.
const REFUSED_ERR: [&str; 1] = ["max number of clients"];
const MISCONFIGURED_ERR: [&str; 4] = ["unknown command", "DB index", "AUTH", "Client sent AUTH"];
/// How a server says that a script is not allowed to run a command: until 7.0, and from then on.
const NO_RIGHT: [&str; 2] = ["can't run this command or subcommand", "ACL failure in script"];
/// What is kept of what a server says.
const MAX_SAID: usize = 200;

/// Whether it may be otherwise another time, whether or not a script was stopped by it.
pub(super) fn passes(error: &RedisError) -> bool {
    error.code().is_some_and(|code| REFUSED.contains(&code))
}

/// A failed command, as a node's failure.
pub(super) fn failure(error: RedisError) -> Failure {
    cut(classed(error))
}

/// The same for a question, whose token goes no further, whatever it is that repeats it.
pub(super) fn refusal(error: RedisError, token: &str) -> Failure {
    let failure = classed(error);
    let reason = failure.reason();
    // First the token, then the cut: half a token would not be found.
    cut(match reason.contains(token) {
        true => failure.in_words(reason.replace(token, "...")),
        false => failure,
    })
}

fn classed(error: RedisError) -> Failure {
    let broken = error.is_io_error() || error.is_connection_dropped();
    if broken || error.is_unrecoverable_error() || error.is_timeout() {
        return Failure::with_source(NodeErrorKind::Disconnected, error);
    }
    let Some(code) = error.code() else {
        return Failure::with_source(NodeErrorKind::Unclear, error);
    };
    let detail = without_arguments(error.detail().unwrap_or_default());
    let said = format!("{code} {detail}");
    let failure = Failure::with_source(class(code, detail), said.trim_end());
    if is_in_script(code, detail) { failure.half_way() } else { failure }
}

/// A server says where in a script an error came about: what was before it has been done. That of our own which names a key, and
/// any key may be so called, comes of a script that has taken back what it did.
fn is_in_script(code: &str, detail: &str) -> bool {
    code != "FENCE" && (detail.contains("script:") || detail.contains("@user_script"))
}

/// What an error says of the command that it answers (safety.md H26).
fn class(code: &str, detail: &str) -> NodeErrorKind {
    let begins = |with: &[&str]| code == "ERR" && with.iter().any(|head| detail.starts_with(head));
    let lacks_right = || NO_RIGHT.iter().any(|text| detail.contains(text));
    if is_in_script(code, detail) {
        if lacks_right() { NodeErrorKind::Misconfigured } else { NodeErrorKind::Unclear }
    } else if REFUSED.contains(&code) || begins(&REFUSED_ERR) {
        NodeErrorKind::Refused
    } else if MISCONFIGURED.contains(&code) || begins(&MISCONFIGURED_ERR) {
        NodeErrorKind::Misconfigured
    } else {
        NodeErrorKind::Unclear
    }
}

/// A server repeats the arguments of a command that it does not know, and with them a token.
fn without_arguments(detail: &str) -> &str {
    detail.split(", with args").next().unwrap_or_default()
}

/// What a node says to a login, unless it repeats the password.
pub(super) fn login_failure(error: RedisError, password: &str) -> Failure {
    let failure = classed(error);
    if !password.is_empty() && failure.reason().contains(password) {
        return failure.in_words("it repeated the password in an error");
    }
    cut(failure)
}

fn cut(failure: Failure) -> Failure {
    let reason = failure.reason();
    match reason.char_indices().nth(MAX_SAID) {
        Some((end, _)) => failure.in_words(&reason[..end]),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server says, on a line of its own.
    fn error(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("{line}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    /// Redis 6.2, 7.0, 8, Valkey 9; and once more where a script handed it on.
    #[test]
    fn a_right_that_a_script_lacks_is_refused_for_good_and_given_back_all_the_same() {
        for said in [
            "-ERR Error running script (call to f_abc): @user_script:10: @user_script: 10: The user executing the script \
             can't run this command or subcommand",
            "-ERR The user executing the script can't run this command or subcommand script: abc, on @user_script:10.",
            "-ERR ACL failure in script: User app has no permissions to run the 'set' command script: abc, on \
             @user_script:14.",
            "-ERR ACL failure in script: User app has no permissions to run the 'set' command script: on @user_script:14.",
            "-ERR ERR ACL failure in script: User app has no permissions to run the 'get' command script: on @user_script:8.",
        ] {
            let failure = refusal(error(said), "token");
            assert_eq!(failure.kind(), NodeErrorKind::Misconfigured, "{said}");
            assert!(!failure.is_not_applied(), "{said}");
        }
    }

    #[test]
    fn a_counter_that_counts_nothing_is_refused_for_good_whatever_its_resource_is_called() {
        for key in ["orders", "script:deploy", "@user_script"] {
            let said = format!("-FENCE no counter that could count on: quorlock:fence:{key}");
            let failure = refusal(error(&said), "token");
            assert_eq!(failure.kind(), NodeErrorKind::Misconfigured, "{said}");
            assert!(failure.is_not_applied(), "{said}");
        }
    }

    #[test]
    fn what_repeats_the_password_at_the_login_is_not_told() {
        let said = |said: &str, password: &str| login_failure(error(said), password).to_string();
        let refused = "-WRONGPASS invalid username-password pair or user is disabled.";
        assert!(said(refused, "open-sesame").contains("WRONGPASS invalid"));
        assert!(said(refused, "").contains("WRONGPASS invalid"));
        for before in 0..2 * MAX_SAID {
            let repeated = format!("-ERR {} open-sesame", "x".repeat(before));
            assert!(!said(&repeated, "open-sesame").contains("open"));
        }
    }

    #[test]
    fn whatever_repeats_the_token_does_not_make_it_known_and_long_stories_are_cut() {
        let token = "0123456789abcdef:fedcba9876543210";
        let failed = |line: &str| refusal(error(line), token);
        let failure = failed(&format!("-ERR what is {token} to you"));
        assert!(!failure.to_string().contains(token), "{failure}");
        let failure = failed(&format!("-ERR {}", "x".repeat(100_000)));
        assert!(failure.to_string().len() < 300);
        for before in 0..MAX_SAID {
            let failure = failed(&format!("-ERR {}{token}", "x".repeat(before)));
            assert!(!failure.to_string().contains(&token[..8]), "{failure}");
        }
    }
}

//! What a node's answer means for the question that it answers; errors are `refusal.rs`'s. Pure; sends nothing.

use std::time::Duration;

use redis::{RedisError, RedisResult, Value};

use super::refusal::{passes, refusal};
use crate::error::{Failure, NodeErrorKind};
use crate::node::{Fence, Question, Reply, Verb};
use crate::script::{self, Compared, Form};

/// What to make of an answer.
pub(super) enum Answer {
    Reply(Reply),
    /// Nothing was done of it in this form, or what it comes to was not told: ask in the next.
    OtherForm,
    /// The node does nothing in this form, here and henceforth: it has not the native command or not the script, or we not the
    /// right to it, or one of those that were asked together stands in the way of the others. Ask in the next.
    NotInThisForm,
}

/// Reads the answer to `question`. Anything unexpected is a failure, never a grant.
pub(super) fn read(
    question: &Question,
    form: Form,
    compared: Option<&Compared>,
    answer: RedisResult<Value>,
) -> Answer {
    if form == Form::Together {
        return together(answer, question);
    }
    let answer = match answer {
        // There is no error in these.
        Ok(Value::Okay | Value::Int(_) | Value::Nil) => answer,
        answer => answer.and_then(Value::extract_error),
    };
    let value = match answer {
        Ok(value) => value,
        Err(error) if form.is_native() && is_not_native(&error) => return Answer::NotInThisForm,
        Err(error) if form.is_native() && is_about_the_key(&error) => return Answer::OtherForm,
        Err(error)
            if error.code() == Some("NOSCRIPT") && script::has_text(question, form, compared) =>
        {
            return Answer::OtherForm;
        }
        Err(error) => return Answer::Reply(Reply::Failed(refusal(error, &question.token()))),
    };
    let by_script = script::is_by_script(question, compared);
    let reply = match (question.verb, &value) {
        (Verb::Acquire, Value::Okay) if !by_script => Reply::Granted,
        (Verb::Acquire, Value::Nil) if !by_script => Reply::Denied,
        (Verb::Acquire, _) if question.fence.is_some() => {
            counted(question.fence, &value).unwrap_or_else(|| failed(&value))
        }
        (Verb::Acquire, Value::Int(-2)) if compared.is_some() => {
            Reply::Failed(NodeErrorKind::Forgot.into())
        }
        (Verb::Acquire | Verb::Certify | Verb::Repair, Value::Int(1)) if by_script => {
            Reply::Granted
        }
        (Verb::Acquire | Verb::Certify | Verb::Repair, Value::Int(0)) if by_script => Reply::Denied,
        (Verb::Extend, Value::Array(parts)) => match parts.as_slice() {
            // Less than nothing is left where somebody took the expiry away: of that nothing is known.
            [Value::Int(1), Value::Int(found @ 0..)] => {
                Reply::Kept { found: Duration::from_millis(found.unsigned_abs()) }
            }
            [Value::Int(0), Value::Int(_)] => Reply::Missing,
            [Value::Int(-1), Value::Int(_)] => Reply::HeldByAnother,
            _ => failed(&value),
        },
        (Verb::Release | Verb::Undo, Value::Array(parts)) if !form.is_native() => {
            released(parts).unwrap_or_else(|| failed(&value))
        }
        (Verb::Release | Verb::Undo, Value::Int(1)) if question.keys().len() == 1 => {
            Reply::Released { deleted: 1, others: 0, foreign: 0 }
        }
        // The native commands do not say what is there instead; the script does, as where they fail over it.
        (Verb::Release, Value::Int(0)) if form.is_native() => return Answer::OtherForm,
        _ => failed(&value),
    };
    Answer::Reply(reply)
}

/// The answer to one of the releases that were asked together. What is said of all of them is not taken for an answer to one,
/// but where it says that all was done.
fn together(answer: RedisResult<Value>, release: &Question) -> Answer {
    let released = |deleted, others| Answer::Reply(Reply::Released { deleted, others, foreign: 0 });
    let error = match answer.and_then(Value::extract_error) {
        Ok(Value::Int(1)) => return released(1, 0),
        Ok(Value::Int(0)) => return released(0, 0),
        Ok(Value::Int(2)) => return released(0, 1),
        Ok(Value::Int(3)) => return Answer::OtherForm,
        Ok(_) => return Answer::NotInThisForm,
        Err(error) => error,
    };
    // The text is not sent for that: the script is loaded on the next connection.
    let passes = passes(&error) && error.code() != Some("NOSCRIPT");
    let failure = refusal(error, &release.token());
    match failure.kind() {
        NodeErrorKind::Disconnected => Answer::Reply(Reply::Failed(failure)),
        _ if passes => Answer::OtherForm,
        _ => Answer::NotInThisForm,
    }
}

fn is_not_native(error: &RedisError) -> bool {
    let is_unknown = error.detail().is_some_and(|said| said.starts_with("unknown command"));
    is_unknown || error.code() == Some("NOPERM")
}

/// Whether a native command may have failed over what the key holds: a value of another type has a code of its own in
/// Valkey, and none in Redis.
fn is_about_the_key(error: &RedisError) -> bool {
    matches!(error.code(), Some("ERR" | "WRONGTYPE"))
}

/// The answer to an acquire with fencing. Where it is a number, the holder was counted as was proposed, or not at all.
fn counted(fence: Option<Fence>, value: &Value) -> Option<Reply> {
    let parts = match (fence, value) {
        (Some(Fence::Count(proposal @ 1..)), Value::Int(1)) => {
            return Some(Reply::Counted(proposal));
        }
        (_, Value::Int(0)) => return Some(Reply::Denied),
        (_, Value::Array(parts)) => parts,
        _ => return None,
    };
    match parts.as_slice() {
        [Value::Int(1), Value::Int(counter @ 1..)] => Some(Reply::Counted(counter.unsigned_abs())),
        [Value::Int(0), Value::Int(_)] => Some(Reply::Denied),
        [Value::Int(-2), Value::Int(_)] => Some(Reply::Failed(NodeErrorKind::Forgot.into())),
        _ => None,
    }
}

fn released(parts: &[Value]) -> Option<Reply> {
    let [Value::Int(deleted), Value::Int(others), Value::Int(foreign)] = parts else { return None };
    Some(Reply::Released {
        deleted: usize::try_from(*deleted).ok()?,
        others: usize::try_from(*others).ok()?,
        foreign: usize::try_from(*foreign).ok()?,
    })
}

fn failed(value: &Value) -> Reply {
    Reply::Failed(unexpected(value))
}

/// An answer that is none to what was asked.
pub(super) fn unexpected(value: &Value) -> Failure {
    // The kind of value only: a strange answer could carry a token.
    let kind = match value {
        Value::Nil => "nil",
        Value::Int(_) => "a number",
        Value::Array(_) => "a list of another shape",
        Value::Okay | Value::SimpleString(_) => "a status",
        Value::BulkString(_) => "a string",
        _ => "a value of another type",
    };
    Failure::with_source(
        NodeErrorKind::Unclear,
        format!("it answered {kind}, which is no answer to this question"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Keys;
    use crate::script::Delete;
    use crate::scripted::question;

    #[test]
    fn a_holder_is_counted_as_was_proposed_or_as_the_node_says() {
        let fence = Some(Fence::Count(1_764_000_000_000_000));
        let asked = Question { fence, ..question(Verb::Acquire) };
        let said = |value| match read(&asked, Form::Hash, None, Ok(value)) {
            Answer::Reply(reply) => reply,
            Answer::OtherForm | Answer::NotInThisForm => panic!("it is known"),
        };
        let pair = |first, second| said(Value::Array(vec![Value::Int(first), Value::Int(second)]));
        assert!(matches!(said(Value::Int(1)), Reply::Counted(1_764_000_000_000_000)));
        assert!(matches!(pair(1, 7), Reply::Counted(7)));
        assert!(matches!(said(Value::Int(0)), Reply::Denied));
        assert!(matches!(pair(0, 0), Reply::Denied));
        for value in [Value::Int(2), Value::Int(-2), Value::Okay, Value::Nil] {
            assert!(matches!(said(value.clone()), Reply::Failed(_)), "{value:?}");
        }
        assert!(matches!(pair(1, 0), Reply::Failed(_)), "no counter stands at that");
        assert!(matches!(pair(2, 7), Reply::Failed(_)));
    }

    const VERBS: [Verb; 5] = [Verb::Acquire, Verb::Extend, Verb::Repair, Verb::Release, Verb::Undo];

    fn answer(verb: Verb, value: Value) -> Reply {
        match read(&question(verb), Form::Text, None, Ok(value)) {
            Answer::Reply(reply) => reply,
            Answer::OtherForm | Answer::NotInThisForm => {
                panic!("there is no other form than its text")
            }
        }
    }

    /// What a server says, on a line of its own.
    fn line(line: &str) -> Value {
        redis::parse_redis_value(format!("{line}\r\n").as_bytes()).unwrap()
    }

    fn failed(verb: Verb, said: &str) -> Failure {
        match answer(verb, line(said)) {
            Reply::Failed(failure) => failure,
            other => panic!("{said} is {other:?}"),
        }
    }

    fn pair(a: i64, b: i64) -> Value {
        Value::Array(vec![Value::Int(a), Value::Int(b)])
    }

    #[test]
    fn only_the_one_expected_answer_grants() {
        assert!(matches!(answer(Verb::Acquire, Value::Okay), Reply::Granted));
        assert!(matches!(answer(Verb::Repair, Value::Int(1)), Reply::Granted));
        assert!(matches!(answer(Verb::Acquire, Value::Nil), Reply::Denied));
        assert!(matches!(answer(Verb::Repair, Value::Int(0)), Reply::Denied));
        for ms in [0, 500, i64::MAX] {
            let found = Duration::from_millis(ms.unsigned_abs());
            let kept = answer(Verb::Extend, pair(1, ms));
            assert!(matches!(kept, Reply::Kept { found: told } if told == found), "{kept:?}");
        }
        assert!(matches!(answer(Verb::Extend, pair(0, -2)), Reply::Missing));
        assert!(matches!(answer(Verb::Extend, pair(-1, -2)), Reply::HeldByAnother));
        for verb in [Verb::Release, Verb::Undo] {
            let released = answer(verb, Value::Array([2, 1, 1].map(Value::Int).to_vec()));
            assert!(matches!(released, Reply::Released { deleted: 2, others: 1, foreign: 1 }));
            let one = answer(verb, Value::Int(1));
            assert!(matches!(one, Reply::Released { deleted: 1, others: 0, foreign: 0 }));
        }
    }

    #[test]
    fn anything_else_is_a_failure_and_never_a_grant() {
        let strange = [
            Value::Int(2),
            Value::Int(-1),
            Value::SimpleString("QUEUED".into()),
            Value::BulkString(b"OK".to_vec()),
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![Value::Okay, Value::Int(1)]),
            Value::Boolean(true),
        ];
        for verb in VERBS {
            for value in strange.clone() {
                let reply = answer(verb, value.clone());
                assert!(matches!(reply, Reply::Failed(_)), "{verb:?} {value:?}: {reply:?}");
            }
        }
        assert!(matches!(answer(Verb::Acquire, Value::Int(1)), Reply::Failed(_)));
        assert!(matches!(answer(Verb::Extend, Value::Okay), Reply::Failed(_)));
        assert!(matches!(answer(Verb::Extend, pair(1, -1)), Reply::Failed(_)));
        assert!(matches!(answer(Verb::Extend, pair(1, -2)), Reply::Failed(_)));
        assert!(matches!(answer(Verb::Extend, pair(2, 500)), Reply::Failed(_)));
        assert!(matches!(answer(Verb::Repair, Value::Okay), Reply::Failed(_)));
        for verb in [Verb::Release, Verb::Undo] {
            assert!(matches!(answer(verb, Value::Int(0)), Reply::Failed(_)));
            let two =
                Question { keys: Keys::parse(["a", "b"].into(), "").unwrap(), ..question(verb) };
            let read = read(&two, Form::Hash, None, Ok(Value::Int(1)));
            assert!(
                matches!(read, Answer::Reply(Reply::Failed(_))),
                "of two keys, the list is told"
            );
        }
        assert!(matches!(answer(Verb::Release, pair(1, 0)), Reply::Failed(_)));
        let below = Value::Array([-1, 0, 0].map(Value::Int).to_vec());
        assert!(matches!(answer(Verb::Release, below), Reply::Failed(_)));
    }

    /// The table of `docs/operations.md`.
    #[test]
    fn every_error_of_the_table_has_its_class() {
        use NodeErrorKind::{Misconfigured, Refused, Unclear};
        let table = [
            ("-OOM command not allowed when used memory > 'maxmemory'.", Refused),
            ("-READONLY You can't write against a read only replica.", Refused),
            ("-LOADING Redis is loading the dataset in memory", Refused),
            ("-MISCONF Redis is configured to save RDB snapshots, but ...", Refused),
            ("-BUSY Redis is busy running a script.", Refused),
            ("-NOREPLICAS Not enough good replicas to write.", Refused),
            ("-MASTERDOWN Link with MASTER is down", Refused),
            ("-TRYAGAIN Multiple keys request during rehashing of slot", Refused),
            ("-NOSCRIPT No matching script.", Refused),
            ("-WRONGTYPE Operation against a key holding the wrong kind of value", Refused),
            ("-ERR max number of clients reached", Refused),
            ("-NOAUTH Authentication required.", Misconfigured),
            ("-NOPERM User app has no permissions to run the 'set' command", Misconfigured),
            ("-WRONGPASS invalid username-password pair or user is disabled.", Misconfigured),
            ("-MOVED 866 10.0.0.9:6379", Misconfigured),
            ("-ASK 866 10.0.0.9:6379", Misconfigured),
            ("-CROSSSLOT Keys in request don't hash to the same slot", Misconfigured),
            ("-CLUSTERDOWN Hash slot not served", Misconfigured),
            ("-ERR unknown command 'EVALSHA', with args beginning with: 'x' ", Misconfigured),
            ("-ERR DB index is out of range", Misconfigured),
            ("-ERR something that nobody has heard of", Unclear),
            ("-SOMETHING new", Unclear),
            ("-OOM command not allowed script: abc, on @user_script:7.", Unclear),
            ("-ERR Error running script (call to f_abc): @user_script:7: -OOM", Unclear),
        ];
        for (said, class) in table {
            for verb in VERBS {
                let failure = failed(verb, said);
                assert_eq!(failure.kind(), class, "{verb:?}: {said}");
                assert_eq!(failure.is_not_applied(), class != Unclear, "{said}");
            }
        }
    }

    #[test]
    fn the_native_command_says_yes_and_the_script_says_why_not() {
        let form = Form::Native(Delete::Delifeq);
        let read = |value| read(&question(Verb::Release), form, None, Ok(value));
        let deleted = read(Value::Int(1));
        assert!(matches!(deleted, Answer::Reply(Reply::Released { deleted: 1, others: 0, .. })));
        assert!(matches!(read(Value::Int(0)), Answer::OtherForm));
        assert!(matches!(read(Value::Int(2)), Answer::Reply(Reply::Failed(_))));
        for said in ["-ERR unknown command 'DELIFEQ', with args", "-NOPERM no permissions"] {
            assert!(matches!(read(line(said)), Answer::NotInThisForm), "{said}");
        }
        for said in ["-WRONGTYPE Operation against a key", "-ERR Key should be of string type"] {
            assert!(matches!(read(line(said)), Answer::OtherForm), "{said}");
        }
        assert!(matches!(read(line("-OOM no")), Answer::Reply(Reply::Failed(_))));
    }

    #[test]
    fn of_releases_together_what_is_told_of_one_is_taken_and_all_else_is_asked_again_alone() {
        let read = |answer| read(&question(Verb::Release), Form::Together, None, answer);
        let deleted = read(Ok(Value::Int(1)));
        assert!(matches!(deleted, Answer::Reply(Reply::Released { deleted: 1, others: 0, .. })));
        let gone = read(Ok(Value::Int(0)));
        assert!(matches!(gone, Answer::Reply(Reply::Released { deleted: 0, others: 0, .. })));
        let anothers = read(Ok(Value::Int(2)));
        assert!(matches!(anothers, Answer::Reply(Reply::Released { deleted: 0, others: 1, .. })));
        let passes =
            ["-BUSY Redis is busy running a script.", "-MISCONF no, script: x, on @user_script:3."];
        for said in [":3", passes[0], passes[1]] {
            assert!(matches!(read(Ok(line(said))), Answer::OtherForm), "{said}");
        }
        let said = [
            "-NOSCRIPT No script.",
            "-NOPERM No right",
            "-CROSSSLOT x",
            "-ERR what",
            ":4",
            "*1\r\n:1",
            "$-1",
        ];
        for said in said {
            assert!(matches!(read(Ok(line(said))), Answer::NotInThisForm), "{said}");
        }
        let broken = read(Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()));
        let Answer::Reply(Reply::Failed(failure)) = broken else { panic!("nothing was said") };
        assert_eq!(failure.kind(), NodeErrorKind::Disconnected);
    }

    #[test]
    fn a_server_that_repeats_the_command_does_not_make_the_token_known() {
        let line =
            b"-ERR unknown command 'EVALSHA', with args beginning with: '1' 'a' 'SECRET' \r\n";
        let value = redis::parse_redis_value(line).unwrap();
        let Reply::Failed(failure) = answer(Verb::Release, value) else { panic!("it is an error") };
        assert_eq!(failure.to_string(), "refused for good (ERR unknown command 'EVALSHA')");
        assert!(!format!("{failure:?}").contains("SECRET"));
    }

    #[test]
    fn no_script_is_an_answer_only_where_there_is_a_text_to_send() {
        let no_script = || redis::parse_redis_value(b"-NOSCRIPT No matching script.\r\n").unwrap();
        for verb in VERBS {
            assert!(
                matches!(answer(verb, no_script()), Reply::Failed(_)),
                "{verb:?} with its text"
            );
        }
    }

    #[test]
    fn a_refusal_says_what_the_server_said() {
        let value = redis::parse_redis_value(b"-OOM command not allowed\r\n").unwrap();
        let Reply::Failed(failure) = answer(Verb::Acquire, value) else { panic!("it is an error") };
        assert_eq!(failure.kind(), NodeErrorKind::Refused);
        assert_eq!(failure.to_string(), "refused (OOM command not allowed)");
    }
}

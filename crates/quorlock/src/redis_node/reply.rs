//! What a node's answer means for the question that it answers. Pure; sends nothing.

use redis::{RedisError, RedisResult, Value};

use crate::error::{Failure, NodeErrorKind};
use crate::node::{Question, Reply, Verb};
use crate::script::{self, Form};

/// What to make of an answer.
pub(super) enum Answer {
    Reply(Reply),
    /// The node does not know the script: nothing was done, send its text.
    NoScript,
}

/// Reads the answer to `question`. Anything unexpected is a failure, never a grant.
pub(super) fn read(question: &Question, form: Form, answer: RedisResult<Value>) -> Answer {
    let value = match answer.and_then(Value::extract_error) {
        Ok(value) => value,
        Err(error) if error.code() == Some("NOSCRIPT") && script::has_text(question, form) => {
            return Answer::NoScript;
        }
        Err(error) => return Answer::Reply(Reply::Failed(failure(error))),
    };
    let reply = match (question.verb, &value) {
        (Verb::Acquire, Value::Okay) => Reply::Granted,
        (Verb::Acquire, Value::Nil) => Reply::Denied,
        (Verb::Acquire | Verb::Repair, Value::Int(1)) => Reply::Granted,
        (Verb::Acquire | Verb::Repair, Value::Int(0)) => Reply::Denied,
        (Verb::Extend, Value::Array(parts)) => match parts.as_slice() {
            [Value::Int(1), Value::Int(_)] => Reply::Kept,
            [Value::Int(0), Value::Int(_)] => Reply::Missing,
            [Value::Int(-1), Value::Int(_)] => Reply::HeldByAnother,
            _ => unexpected(&value),
        },
        (Verb::Release, Value::Array(parts)) => match parts.as_slice() {
            [Value::Int(deleted), Value::Int(others)] => {
                match (usize::try_from(*deleted), usize::try_from(*others)) {
                    (Ok(deleted), Ok(others)) => Reply::Released { deleted, others },
                    _ => unexpected(&value),
                }
            }
            _ => unexpected(&value),
        },
        _ => unexpected(&value),
    };
    Answer::Reply(reply)
}

fn unexpected(value: &Value) -> Reply {
    // The kind of value only: a strange answer could carry a token.
    let kind = match value {
        Value::Nil => "nil",
        Value::Int(_) => "a number",
        Value::Array(_) => "a list of another shape",
        Value::Okay | Value::SimpleString(_) => "a status",
        Value::BulkString(_) => "a string",
        _ => "a value of another type",
    };
    Reply::Failed(Failure::with_source(
        NodeErrorKind::Refused,
        format!("it answered {kind}, which is no answer to this question"),
    ))
}

/// A failed command, as a node's failure.
pub(super) fn failure(error: RedisError) -> Failure {
    let broken = error.is_io_error() || error.is_connection_dropped();
    if broken || error.is_unrecoverable_error() || error.is_timeout() {
        return Failure::with_source(NodeErrorKind::Disconnected, error);
    }
    match error.code() {
        Some(code) => {
            let said = format!("{code} {}", without_arguments(error.detail().unwrap_or_default()));
            Failure::with_source(NodeErrorKind::Refused, said.trim_end().to_owned())
        }
        None => Failure::with_source(NodeErrorKind::Refused, error),
    }
}

/// A server repeats the arguments of a command that it does not know, and with them a token.
fn without_arguments(detail: &str) -> &str {
    detail.split(", with args").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::resources::Keys;
    use crate::token::Token;

    const VERBS: [Verb; 4] = [Verb::Acquire, Verb::Extend, Verb::Repair, Verb::Release];

    fn answer(verb: Verb, value: Value) -> Reply {
        let question = Question {
            verb,
            keys: Keys::parse("a".into(), "").unwrap(),
            token: Arc::new(Token::new(Uuid::nil(), [0; 16])),
            ttl: Duration::from_secs(1),
            time_limit: Duration::from_millis(50),
        };
        match read(&question, Form::Text, Ok(value)) {
            Answer::Reply(reply) => reply,
            Answer::NoScript => panic!("no script was asked for"),
        }
    }

    fn pair(a: i64, b: i64) -> Value {
        Value::Array(vec![Value::Int(a), Value::Int(b)])
    }

    #[test]
    fn only_the_one_expected_answer_grants() {
        assert!(matches!(answer(Verb::Acquire, Value::Okay), Reply::Granted));
        assert!(matches!(answer(Verb::Acquire, Value::Int(1)), Reply::Granted));
        assert!(matches!(answer(Verb::Acquire, Value::Nil), Reply::Denied));
        assert!(matches!(answer(Verb::Repair, Value::Int(0)), Reply::Denied));
        assert!(matches!(answer(Verb::Extend, pair(1, 500)), Reply::Kept));
        assert!(matches!(answer(Verb::Extend, pair(0, -2)), Reply::Missing));
        assert!(matches!(answer(Verb::Extend, pair(-1, -2)), Reply::HeldByAnother));
        let released = answer(Verb::Release, pair(2, 1));
        assert!(matches!(released, Reply::Released { deleted: 2, others: 1 }));
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
        assert!(matches!(answer(Verb::Extend, Value::Okay), Reply::Failed(_)));
        assert!(matches!(answer(Verb::Repair, Value::Okay), Reply::Failed(_)));
        assert!(matches!(answer(Verb::Release, Value::Int(1)), Reply::Failed(_)));
        assert!(matches!(answer(Verb::Release, pair(-1, 0)), Reply::Failed(_)));
    }

    #[test]
    fn a_server_that_repeats_the_command_does_not_make_the_token_known() {
        let line =
            b"-ERR unknown command 'EVALSHA', with args beginning with: '1' 'a' 'SECRET' \r\n";
        let value = redis::parse_redis_value(line).unwrap();
        let Reply::Failed(failure) = answer(Verb::Release, value) else { panic!("it is an error") };
        assert_eq!(failure.to_string(), "refused (ERR unknown command 'EVALSHA')");
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

//! Answers in pieces of every size, long ones, and what is none.

use futures::FutureExt;
use proptest::prelude::*;
use tokio::io::{AsyncWriteExt, duplex};

use super::*;

const KNOWN: [&str; 11] = [
    "+OK\r\n",
    ":0\r\n",
    ":1\r\n",
    ":999999999999999999\r\n",
    ":007\r\n",
    "*2\r\n:1\r\n:59990\r\n",
    "*3\r\n:3\r\n:0\r\n:0\r\n",
    "*9\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:99\r\n",
    "*12\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:99\r\n:0\r\n:1\r\n:12\r\n",
    "_\r\n",
    "$-1\r\n",
];

/// All that comes of `bytes` when they arrive in pieces of these sizes, and then the stream ends.
fn heard(bytes: &[u8], sizes: &[usize]) -> Vec<RedisResult<Value>> {
    let (mut near, mut far) = duplex(64 << 10);
    let mut answers = Answers::new();
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut all = Vec::new();
    let mut sizes = sizes.iter().copied().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, left) = rest.split_at(sizes.next().unwrap().clamp(1, rest.len()));
        rest = left;
        far.write_all(piece).now_or_never().expect("there is room").unwrap();
        while let Poll::Ready(answer) = answers.poll_next(&mut near, &mut cx) {
            let is_over = answer.is_err();
            all.push(answer);
            if is_over {
                return all;
            }
        }
    }
    drop(far);
    let Poll::Ready(end) = answers.poll_next(&mut near, &mut cx) else { panic!("it has ended") };
    assert!(end.is_err());
    all
}

fn values(bytes: &[u8], sizes: &[usize]) -> Vec<Value> {
    heard(bytes, sizes).into_iter().map(|answer| answer.expect("it is an answer")).collect()
}

fn bulk(lines: usize) -> Vec<u8> {
    let text = "line\r\n".repeat(lines);
    format!("${}\r\n{text}\r\n", text.len()).into_bytes()
}

#[test]
fn what_is_known_by_heart_is_what_the_parser_makes_of_it() {
    for sent in KNOWN.map(str::as_bytes) {
        let (length, answer) = usual(sent).expect("it is known");
        assert_eq!((length, redis::parse_redis_value(sent)), (sent.len(), Ok(answer)));
        let parts = (0..length).map(|some| usual(&sent[..some]));
        assert!(parts.into_iter().all(|part| part.is_none()), "it is not whole");
    }
    let numbers = |count| format!("*{count}\r\n{}", ":1\r\n".repeat(count));
    let most = numbers(MOST_NUMBERS);
    let (length, answer) = usual(most.as_bytes()).expect("it is known");
    assert_eq!((length, redis::parse_redis_value(most.as_bytes())), (most.len(), Ok(answer)));
    assert_eq!(usual(numbers(MOST_NUMBERS + 1).as_bytes()), None);
    for sent in ["+O\r\n", "+OK\n\n", "$-2\r\n", "-OK\r\n", "*1\r\n+OK\r\n", "*0\r\n", "*-1\r\n"] {
        assert_eq!(usual(sent.as_bytes()), None, "{sent}");
    }
    for number in [":\r\n", ":-2\r\n", ":+2\r\n", ":1:\r\n", ":1\n\n", ":9223372036854775808\r\n"] {
        let array = format!("*2\r\n:1\r\n{number}");
        assert_eq!([number, &array].map(|sent| usual(sent.as_bytes())), [None, None], "{number}");
    }
}

#[test]
fn behind_a_long_answer_all_others_are_heard_too() {
    for lines in [MOST_PIECES - 2, MOST_PIECES - 1, MOST_PIECES, 3 * MOST_PIECES] {
        let long = bulk(lines);
        let sent = [&b":1\r\n"[..], &long, b"+OK\r\n*2\r\n:1\r\n:7\r\n", &long, b"_\r\n"].concat();
        let long = redis::parse_redis_value(&long).unwrap();
        let two = Value::Array(vec![Value::Int(1), Value::Int(7)]);
        let expected = [Value::Int(1), long.clone(), Value::Okay, two, long, Value::Nil];
        assert_eq!(values(&sent, &[sent.len()]), expected);
        assert_eq!(values(&sent, &[1]), expected);
        assert_eq!(values(&sent, &[997]), expected);
    }
}

#[test]
fn what_is_no_answer_is_an_error_in_whatever_pieces_it_comes() {
    let stray: [&[u8]; 5] =
        [b"hello\r\n", b":one\r\n", b"*2\r\n:1\r\n?\r\n:2\r\n", b"\r\n+OK\r\n", b"x+OK\r\n"];
    for sent in stray.map(|stray| [b"+OK\r\n", stray].concat()) {
        for size in 1..=sent.len() {
            let heard = heard(&sent, &[size]);
            assert!(matches!(&heard[..], [Ok(Value::Okay), Err(_)]), "{size}: {heard:?}");
        }
    }
}

#[test]
fn a_line_that_there_is_no_room_for_is_an_answer_too() {
    let line = |length: usize| format!("+{}\r\n", "x".repeat(length)).into_bytes();
    for length in [ROOM - 4, ROOM - 3, ROOM - 2, ROOM - 1, ROOM, 3 * ROOM] {
        let sent = [&b":1\r\n"[..], &line(length), b"+OK\r\n"].concat();
        let long = redis::parse_redis_value(&line(length)).unwrap();
        for size in [1000, ROOM, sent.len()] {
            assert_eq!(values(&sent, &[size]), [Value::Int(1), long.clone(), Value::Okay]);
        }
    }
}

/// An answer as it is sent.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let usual = proptest::sample::select(KNOWN.map(|sent| sent.as_bytes().to_vec()).to_vec());
    let number = any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes());
    let line = proptest::sample::select(vec![
        b":12345\r\n".to_vec(),
        b"-ERR no\r\n".to_vec(),
        b"$4\r\na\r\nb\r\n".to_vec(),
        b"$0\r\n\r\n".to_vec(),
        b"*0\r\n".to_vec(),
        b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n".to_vec(),
        b"%1\r\n+a\r\n#t\r\n".to_vec(),
        b"*12\r\n:0\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n:10\r\n:11\r\n"
            .to_vec(),
    ]);
    let one = prop_oneof![usual, number, line, (0..40usize).prop_map(bulk)].boxed();
    let several = proptest::collection::vec(one.clone(), 0..5)
        .prop_map(|parts| [format!("*{}\r\n", parts.len()).into_bytes(), parts.concat()].concat());
    prop_oneof![one, several]
}

proptest! {
    #[test]
    fn answers_are_the_same_in_whatever_pieces_they_come(
        sent in proptest::collection::vec(answer(), 1..12),
        sizes in proptest::collection::vec(1..60usize, 1..6),
    ) {
        let expected: Vec<_> = sent.iter().map(|one| redis::parse_redis_value(one).unwrap()).collect();
        let all = sent.concat();
        prop_assert_eq!(&values(&all, &[all.len()]), &expected);
        prop_assert_eq!(&values(&all, &sizes), &expected);
    }
}

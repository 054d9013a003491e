//! A line and its driver over a pipe: order, pieces, ends, wake-ups.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use futures::FutureExt;
use redis::PushKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

type Answers = Vec<(u8, RedisResult<Value>)>;
/// What was said unasked.
type Pushes = Arc<Mutex<Vec<PushKind>>>;

/// A connection, its other end, and what was said on it unasked.
fn connection(room: usize) -> (Arc<Line<u8>>, Driver<u8>, DuplexStream, Pushes) {
    let (near, far) = duplex(room);
    let heard = Pushes::default();
    let hears = Arc::clone(&heard);
    let (line, driver) =
        Driver::new(Metered::new(Box::new(near)), Crowd::default(), move |push: PushInfo| {
            lock(&hears).push(push.kind);
        });
    (line, driver, far, heard)
}

fn put(line: &Line<u8>, command: &[u8], question: u8) -> Result<(), u8> {
    line.put(question, |_, out| out.extend_from_slice(command))
}

fn cmd(word: &str) -> Cmd {
    redis::cmd(word)
}

#[tokio::test]
async fn answers_go_to_those_who_asked_in_the_order_of_the_questions() {
    let (line, mut driver, mut far, heard) = connection(1024);
    put(&line, b"one ", 1).unwrap();
    let mut asked = Box::pin(line.ask(cmd("PING")));
    assert!((&mut asked).now_or_never().is_none());
    put(&line, b"two", 2).unwrap();
    far.write_all(b":1\r\n>1\r\n+invalidate\r\n+PONG\r\n-ERR two\r\n").await.unwrap();
    let mut answers = Answers::new();
    driver.answers(|question, answer| answers.push((question, answer))).await.unwrap();
    assert_eq!(asked.await, Ok(Value::SimpleString("PONG".into())));
    assert!(matches!(&answers[..], [(1, Ok(Value::Int(1))), (2, Ok(Value::ServerError(_)))]));
    assert_eq!(*lock(&heard), [PushKind::Invalidate]);
    let mut sent = [0; 21];
    far.read_exact(&mut sent).await.unwrap();
    assert_eq!(&sent, b"one *1\r\n$4\r\nPING\r\ntwo");
}

#[tokio::test]
async fn what_does_not_go_through_at_once_goes_through_in_pieces_and_in_order() {
    let (line, mut driver, mut far, _) = connection(3);
    let all: Vec<u8> = (0..200).collect();
    for byte in &all {
        put(&line, &[*byte], *byte).unwrap();
    }
    let reads = async {
        let mut sent = Vec::new();
        for _ in &all {
            sent.push(far.read_u8().await.unwrap());
            // Byte by byte, as a slow server does.
            for byte in *b"+OK\r\n" {
                far.write_u8(byte).await.unwrap();
            }
        }
        sent
    };
    let hears = async {
        let mut answers = Answers::new();
        while answers.len() < all.len() {
            driver.answers(|question, answer| answers.push((question, answer))).await.unwrap();
        }
        answers
    };
    let (sent, answers) = tokio::join!(reads, hears);
    assert_eq!(sent, all);
    assert!(answers.iter().map(|(question, _)| question).eq(&all));
    assert!(answers.iter().all(|(_, answer)| *answer == Ok(Value::Okay)));
}

#[tokio::test]
async fn whoever_sends_is_woken_once_for_all_that_is_put_until_he_does() {
    #[derive(Default)]
    struct Woken(AtomicUsize);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (line, mut driver, _far, _) = connection(1024);
    let woken = Arc::<Woken>::default();
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    for turn in 1..=2 {
        assert!(driver.poll_answers(&mut cx, &mut |_, _| ()).is_pending());
        put(&line, b"a", 1).unwrap();
        assert_eq!(woken.0.load(Ordering::SeqCst), turn);
        put(&line, b"b", 2).unwrap();
        assert_eq!(woken.0.load(Ordering::SeqCst), turn, "both are sent together");
    }
}

#[tokio::test]
async fn at_the_end_whoever_waits_is_told_and_nothing_can_be_put() {
    for answer in ["+OK\r\n", "+OK\r\n+half", "+OK\r\n?\r\n"] {
        let (line, mut driver, mut far, _) = connection(1024);
        put(&line, b"a", 1).unwrap();
        put(&line, b"b", 2).unwrap();
        let mut asked = Box::pin(line.ask(cmd("PING")));
        assert!((&mut asked).now_or_never().is_none());
        far.write_all(answer.as_bytes()).await.unwrap();
        drop(far);
        let mut answers = Answers::new();
        while driver.answers(|question, answer| answers.push((question, answer))).await.is_ok() {}
        assert!(matches!(&answers[..], [(1, Ok(Value::Okay)), (2, Err(_))]), "{answers:?}");
        assert!(asked.await.is_err());
        assert_eq!(put(&line, b"c", 3), Err(3));
        assert!(line.ask(cmd("PING")).await.is_err());
    }
}

#[tokio::test]
async fn an_answer_that_nobody_has_asked_for_ends_the_connection() {
    let (line, mut driver, mut far, _) = connection(1024);
    put(&line, b"a", 1).unwrap();
    far.write_all(b"+OK\r\n+OK\r\n").await.unwrap();
    let mut answers = Answers::new();
    assert!(driver.answers(|question, answer| answers.push((question, answer))).await.is_err());
    assert!(matches!(&answers[..], [(1, Ok(Value::Okay))]), "{answers:?}");
    assert_eq!(put(&line, b"b", 2), Err(2));
}

#[tokio::test]
async fn a_driver_that_is_dropped_leaves_nobody_waiting() {
    let (line, driver, _far, _) = connection(1024);
    let mut asked = Box::pin(line.ask(cmd("PING")));
    assert!((&mut asked).now_or_never().is_none());
    drop(driver);
    assert!(asked.await.is_err_and(|error| error.is_io_error()));
}

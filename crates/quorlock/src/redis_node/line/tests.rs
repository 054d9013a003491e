//! A line and its driver over a pipe: order, pieces, ends, wake-ups.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use futures::FutureExt;
use redis::PushKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::redis_node::queue::KEPT_BYTES;

/// A question, and what is sent for it: a small letter. A capital may go together with others.
#[derive(Debug, PartialEq)]
struct Ask(u8, Vec<u8>);

impl Put for Ask {
    fn pack(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.1);
    }

    fn may_go_together(&self) -> bool {
        self.1[0].is_ascii_uppercase()
    }

    fn goes_alone(&mut self) {
        self.1.make_ascii_lowercase();
    }

    fn pack_together(those: &[Self], out: &mut Vec<u8>) {
        out.push(b'<');
        those.iter().for_each(|ask| ask.pack(out));
        out.push(b'>');
    }

    fn meets(&self, other: &Self) -> bool {
        self.1.eq_ignore_ascii_case(&other.1)
    }

    /// The letters share few: most that share one do not meet.
    fn marks(&self) -> u64 {
        1 << (self.1[0].to_ascii_lowercase() % 4)
    }
}

type Answers = Vec<(u8, RedisResult<Value>)>;
/// What was said unasked.
type Pushes = Arc<Mutex<Vec<PushKind>>>;

/// A connection, its other end, and what was said on it unasked.
fn connection(room: usize) -> (Arc<Line<Ask>>, Driver<Ask>, DuplexStream, Pushes) {
    let (near, far) = duplex(room);
    let heard = Pushes::default();
    let hears = Arc::clone(&heard);
    let (line, driver) =
        Driver::new(Metered::new(Box::new(near)), Crowd::default(), move |push: PushInfo| {
            lock(&hears).push(push.kind);
        });
    (line, driver, far, heard)
}

fn put(line: &Line<Ask>, command: &[u8], question: u8) -> Result<(), Ask> {
    line.put(Ask(question, command.to_vec()))
}

/// Puts each letter, with itself as its question.
fn put_all(line: &Line<Ask>, letters: &[u8]) {
    letters.iter().for_each(|letter| put(line, &[*letter], *letter).unwrap());
}

async fn hear(driver: &mut Driver<Ask>, answers: &mut Answers) -> RedisResult<()> {
    driver.answers(|question, answer| answers.push((question.0, answer))).await
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
    hear(&mut driver, &mut answers).await.unwrap();
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
    let all: Vec<u8> = (b'a'..=b'z').cycle().take(200).collect();
    put_all(&line, &all);
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
            hear(&mut driver, &mut answers).await.unwrap();
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
        while hear(&mut driver, &mut answers).await.is_ok() {}
        assert!(matches!(&answers[..], [(1, Ok(Value::Okay)), (2, Err(_))]), "{answers:?}");
        assert!(asked.await.is_err());
        assert!(put(&line, b"c", 3).is_err_and(|ask| ask.0 == 3));
        assert!(line.ask(cmd("PING")).await.is_err());
    }
}

#[tokio::test]
async fn an_answer_that_nobody_has_asked_for_ends_the_connection() {
    let (line, mut driver, mut far, _) = connection(1024);
    put(&line, b"a", 1).unwrap();
    far.write_all(b"+OK\r\n+OK\r\n").await.unwrap();
    let mut answers = Answers::new();
    assert!(hear(&mut driver, &mut answers).await.is_err());
    assert!(matches!(&answers[..], [(1, Ok(Value::Okay))]), "{answers:?}");
    assert!(put(&line, b"b", 2).is_err_and(|ask| ask.0 == 2));
}

#[tokio::test]
async fn a_driver_that_is_dropped_leaves_nobody_waiting() {
    let (line, driver, _far, _) = connection(1024);
    let mut asked = Box::pin(line.ask(cmd("PING")));
    assert!((&mut asked).now_or_never().is_none());
    drop(driver);
    assert!(asked.await.is_err_and(|error| error.is_io_error()));
}

/// What the other end hears when these have been put, and what comes of its answer.
async fn together(letters: &[u8], said: &str) -> (String, Vec<(char, Value)>) {
    let (line, mut driver, mut far, _) = connection(1024);
    put_all(&line, letters);
    far.write_all(said.as_bytes()).await.unwrap();
    let mut answers = Answers::new();
    hear(&mut driver, &mut answers).await.unwrap();
    drop((line, driver));
    let mut sent = String::new();
    far.read_to_string(&mut sent).await.unwrap();
    let answers = answers.into_iter().map(|(letter, answer)| (letter.into(), answer.unwrap()));
    (sent, answers.collect())
}

#[tokio::test]
async fn those_that_may_go_together_are_one_command_behind_the_others() {
    let [zero, one, two] = [0, 1, 2].map(Value::Int);
    let (sent, heard) = together(b"AxBC", ":2\r\n:1\r\n").await;
    assert_eq!(sent, "x<ABC>");
    let all = |value: &Value| ['A', 'B', 'C'].map(|letter| (letter, value.clone()));
    assert_eq!(heard[0], ('x', two));
    assert_eq!(heard[1..], all(&one));
    let (_, heard) = together(b"ABC", "*3\r\n:1\r\n:0\r\n:1\r\n").await;
    assert_eq!(heard, [('A', one.clone()), ('B', zero), ('C', one.clone())]);
    for strange in ["*2\r\n:1\r\n:0\r\n", ":0\r\n", ":2\r\n", "+OK\r\n"] {
        let (_, heard) = together(b"ABC", strange).await;
        assert_eq!(heard, all(&Value::Nil), "{strange} answers none of them");
    }
    let (_, heard) = together(b"ABC", "-ERR no\r\n").await;
    assert!(heard.iter().all(|(_, value)| matches!(value, Value::ServerError(_))), "{heard:?}");
    let (sent, heard) = together(b"A", ":1\r\n").await;
    assert_eq!((sent.as_str(), &heard[..]), ("a", &[('A', one)][..]), "nothing to go with");
}

#[tokio::test]
async fn what_meets_one_of_those_goes_behind_them_and_so_does_what_is_no_question() {
    for (letters, expected) in [("ABxa", "x<AB>a"), ("ABbC", "<AB>bc"), ("AaAa", "aaaa")] {
        let said = ":1\r\n".repeat(letters.len());
        let expected_answers = expected.replace(['<', '>'], "");
        let (sent, heard) = together(letters.as_bytes(), &said[..4 * commands(expected)]).await;
        assert_eq!(sent, expected);
        let heard: String = heard.into_iter().map(|(letter, _)| letter).collect();
        assert!(heard.eq_ignore_ascii_case(&expected_answers), "{heard}");
    }
    let (line, mut driver, mut far, _) = connection(1024);
    put_all(&line, b"AB");
    line.close_together();
    put_all(&line, b"xD");
    let mut asked = Box::pin(line.ask(cmd("PING")));
    assert!((&mut asked).now_or_never().is_none());
    put_all(&line, b"C");
    far.write_all(b":1\r\n:1\r\n:1\r\n+PONG\r\n:1\r\n").await.unwrap();
    hear(&mut driver, &mut Answers::new()).await.unwrap();
    assert_eq!(asked.await, Ok(Value::SimpleString("PONG".into())));
    let mut sent = [0; 21];
    far.read_exact(&mut sent).await.unwrap();
    assert_eq!(&sent, b"<AB>xd*1\r\n$4\r\nPING\r\nc");
}

/// How many these are.
fn commands(sent: &str) -> usize {
    sent.split_terminator('>').map(|part| part.split('<').next().unwrap_or("").len()).sum::<usize>()
        + sent.matches('<').count()
}

#[tokio::test]
async fn no_more_go_together_than_a_server_is_to_be_kept_busy_with() {
    let letters: Vec<u8> = (b'A'..=b'Z').cycle().take(MOST_TOGETHER + 1).collect();
    let (sent, heard) = together(&letters, ":1\r\n:1\r\n").await;
    let last = char::from(letters[MOST_TOGETHER]).to_ascii_lowercase();
    assert!(sent.starts_with('<') && sent.ends_with(&format!(">{last}")), "{sent}");
    assert_eq!(sent.len(), MOST_TOGETHER + 3);
    assert_eq!(heard.len(), MOST_TOGETHER + 1);
}

#[tokio::test]
async fn those_that_go_together_are_each_told_of_the_end() {
    for is_sent in [false, true] {
        let (line, mut driver, far, _) = connection(1024);
        put_all(&line, b"AB");
        if is_sent {
            let waiting = hear(&mut driver, &mut Answers::new()).now_or_never();
            assert!(waiting.is_none());
            put_all(&line, b"CD");
        }
        drop(far);
        let mut answers = Answers::new();
        assert!(hear(&mut driver, &mut answers).await.is_err());
        let told: Vec<u8> = answers.iter().map(|(letter, _)| *letter).collect();
        assert_eq!(told, if is_sent { b"ABCD".as_slice() } else { b"AB" });
        assert!(answers.iter().all(|(_, answer)| answer.is_err()));
    }
}

#[tokio::test]
async fn many_answers_are_heard_bit_by_bit() {
    let (line, mut driver, mut far, _) = connection(1 << 20);
    let questions = 3 * MANY_HEARD;
    (0..questions).for_each(|_| put(&line, b"a", 1).unwrap());
    far.write_all(&b"+OK\r\n".repeat(questions)).await.unwrap();
    for _ in 0..3 {
        let mut answers = Answers::new();
        hear(&mut driver, &mut answers).await.unwrap();
        assert_eq!(answers.len(), MANY_HEARD);
    }
    assert!(hear(&mut driver, &mut Answers::new()).now_or_never().is_none());
}

#[tokio::test]
async fn the_room_of_a_burst_stays_for_the_next_and_goes_when_the_connection_is_at_rest() {
    let (line, mut driver, mut far, _) = connection(1 << 20);
    let mut burst = async |driver: &mut Driver<Ask>, questions: usize| {
        (0..questions).for_each(|_| put(&line, &[b'a'; 2 * KEPT_BYTES / KEPT_ANSWERS], 1).unwrap());
        far.write_all(&b"+OK\r\n".repeat(questions)).await.unwrap();
        let mut answers = Answers::new();
        while answers.len() < questions {
            hear(driver, &mut answers).await.unwrap();
        }
    };
    let room = |driver: &Driver<Ask>| (driver.sending.capacity(), driver.waiting.capacity());
    let is_kept = |(bytes, answers)| bytes <= KEPT_BYTES && answers <= KEPT_ANSWERS;
    burst(&mut driver, KEPT_ANSWERS / 4).await;
    assert!(line.grown().now_or_never().is_none());
    for _ in 0..2 {
        burst(&mut driver, 2 * KEPT_ANSWERS).await;
        line.grown().now_or_never().expect("told of it");
        // Two, since what is put and what is taken change places.
        for is_large in [false, true] {
            burst(&mut driver, 1).await;
            assert_eq!(!is_kept(room(&driver)), is_large, "{:?}", room(&driver));
        }
        assert!(!line.rest(), "the driver has to");
        assert!(hear(&mut driver, &mut Answers::new()).now_or_never().is_none());
        assert!(line.rest() && line.grown().now_or_never().is_none());
        for _ in 0..2 {
            assert!(is_kept(room(&driver)), "{:?}", room(&driver));
            burst(&mut driver, 1).await;
        }
    }
}

#[tokio::test]
async fn room_that_is_in_use_is_given_back_later() {
    let (line, mut driver, mut far, _) = connection(1 << 20);
    (0..2 * KEPT_ANSWERS).for_each(|_| put(&line, b"a", 1).unwrap());
    for answers in [1, 2 * KEPT_ANSWERS - 1] {
        assert!(hear(&mut driver, &mut Answers::new()).now_or_never().is_none());
        assert!(!line.rest());
        assert!(hear(&mut driver, &mut Answers::new()).now_or_never().is_none());
        assert!(!line.rest(), "somebody waits in it");
        far.write_all(&b"+OK\r\n".repeat(answers)).await.unwrap();
        let mut heard = Answers::new();
        while heard.len() < answers {
            hear(&mut driver, &mut heard).await.unwrap();
        }
    }
    assert!(!line.rest(), "the next look finds it");
    assert!(hear(&mut driver, &mut Answers::new()).now_or_never().is_none());
    assert!(line.rest());
}

//! A client that sends bytes and reads bytes, and bounded waiting. It understands no reply.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// One connection, TCP or pipe.
pub(crate) struct Raw<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Sends one command; does not wait for anything.
    pub(crate) async fn send(&mut self, command: &str) {
        let words: Vec<&str> = command.split(' ').collect();
        let mut bytes = format!("*{}\r\n", words.len());
        for word in words {
            bytes += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.0.write_all(bytes.as_bytes()).await.expect("the connection is open");
    }

    /// Asserts that exactly these bytes come next.
    #[track_caller]
    pub(crate) fn expect(&mut self, bytes: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let mut read = vec![0; bytes.len()];
            let result = tokio::time::timeout(LIMIT, self.0.read_exact(&mut read)).await;
            assert!(
                matches!(result, Ok(Ok(_))),
                "{caller}: {bytes:?} was expected, but: {result:?}; so far {:?}",
                String::from_utf8_lossy(&read)
            );
            assert_eq!(String::from_utf8_lossy(&read), bytes, "{caller}");
        }
    }

    /// Sends one command and asserts its reply.
    pub(crate) async fn ask(&mut self, command: &str, reply: &str) {
        self.send(command).await;
        self.expect(reply).await;
    }

    /// Asserts that nothing comes for a second: no byte, no end.
    pub(crate) async fn expect_silence(&mut self) {
        let read = tokio::time::timeout(Duration::from_secs(1), self.0.read_u8()).await;
        assert!(read.is_err(), "silence was expected, but: {read:?}");
    }

    /// Waits until the other side has ended the connection; says how.
    pub(crate) async fn end(&mut self) -> std::io::ErrorKind {
        let read = tokio::time::timeout(LIMIT, self.0.read_u8()).await;
        read.expect("the connection ends within the limit").expect_err("nothing more comes").kind()
    }
}

/// Far above what anything here takes, and below every patience.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Waits until the condition holds.
#[track_caller]
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        for _ in 0..LIMIT.as_millis() {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{caller}: not within {LIMIT:?}: {what}");
    }
}

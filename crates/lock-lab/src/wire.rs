//! What a server is sent, for clients whose commands cannot be told one by one, watched by `MONITOR`. It stands in the story behind the
//! rest: how the commands to five servers lie between one another is nobody's to say.

use futures::StreamExt;
use quorlock_testkit::Node;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::error::Result;
use crate::stage::KEY;

/// How much of a long word is shown: a script's hash and a token are longer, and say no more.
const LONGEST_WORD: usize = 14;
/// What nobody else says.
const CURTAIN: &str = "the curtain falls";

/// Watches a server for as long as it lives.
#[derive(Debug)]
pub(crate) struct Wire {
    heard: mpsc::UnboundedReceiver<String>,
    // Ended with it.
    listening: Option<AbortHandle>,
}

impl Wire {
    /// Begins to watch.
    ///
    /// # Errors
    ///
    /// [`Error::Server`](crate::Error::Server) where it cannot be connected.
    pub(crate) async fn of(node: &Node) -> Result<Self> {
        let (tell, heard) = mpsc::unbounded_channel();
        if node.embedded().is_some() {
            return Ok(Self { heard, listening: None });
        }
        let monitor = redis::Client::open(node.url())?.get_async_monitor().await?;
        let listening = tokio::spawn(async move {
            let mut lines = Box::pin(monitor.into_on_message::<String>());
            while let Some(line) = lines.next().await {
                // Nobody listens any more where the scene is over.
                let _ = tell.send(line);
            }
        });
        Ok(Self { heard, listening: Some(listening.abort_handle()) })
    }

    /// The commands about the lock so far, in short.
    ///
    /// # Errors
    ///
    /// [`Error::Nodes`](crate::Error::Nodes) where the server cannot be asked.
    pub(crate) async fn commands(mut self, node: &Node) -> Result<Vec<String>> {
        if let Some(embedded) = node.embedded() {
            return Ok(embedded.log().iter().filter_map(|line| in_short(line)).collect());
        }
        // What was sent before this is told before it.
        node.command(&["ECHO", CURTAIN]).await?;
        let mut commands = Vec::new();
        while let Some(line) = self.heard.recv().await {
            if line.contains(CURTAIN) {
                break;
            }
            commands.extend(in_short(&line));
        }
        Ok(commands)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

/// Of `1339518083.107412 [0 127.0.0.1:60866] "SET" "lock" "..."`, or of the words alone. What a script asks in turn is left out.
fn in_short(line: &str) -> Option<String> {
    let words: Vec<_> = match line.split_once("] ") {
        Some((from, _)) if from.ends_with(" lua") => return None,
        Some((_, words)) => words.split("\" \"").map(|word| word.trim_matches('"')).collect(),
        None => line.split(' ').collect(),
    };
    let is_about_it = words.iter().skip(1).any(|word| *word == KEY);
    let asked = matches!(words[0], "PTTL" | "EXISTS");
    (is_about_it && !asked)
        .then(|| words.iter().map(|word| cut(word)).collect::<Vec<_>>().join(" "))
}

fn cut(word: &str) -> String {
    if word.chars().count() <= LONGEST_WORD {
        return word.to_owned();
    }
    word.chars().take(8).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_clients_say_about_the_lock_is_shown() {
        let shown = |line: &str| in_short(line);
        assert_eq!(
            shown("1.5 [0 127.0.0.1:6] \"SET\" \"lock\" \"0123456789abcdef\" \"NX\"").as_deref(),
            Some("SET lock 01234567… NX")
        );
        assert_eq!(shown("1.5 [0 lua] \"get\" \"lock\""), None);
        assert_eq!(shown("1.5 [0 127.0.0.1:6] \"GET\" \"quorlock:marker:\""), None);
        assert_eq!(shown("SET lock x PX 2000").as_deref(), Some("SET lock x PX 2000"));
    }
}

//! What nodes are made of, and the choice. How each kind is started does not live here.

use std::fmt;
use std::path::PathBuf;

use tokio::sync::OnceCell;

use crate::container;
use crate::error::Error;
use crate::process;

const VARIABLE: &str = "QUORLOCK_BACKEND";

/// What the nodes of a cluster are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Containers on a private network: real servers with addresses of their own. Needs a Docker
    /// engine and an image.
    Containers,
    /// Server processes on loopback. Needs `redis-server` or `valkey-server`.
    Processes,
    /// Nodes inside this process that speak the protocol over loopback. Needs nothing; a test
    /// double.
    Embedded,
}

impl Backend {
    /// Every back end, the most real one first.
    pub const ALL: [Self; 3] = [Self::Containers, Self::Processes, Self::Embedded];

    /// The back end that `QUORLOCK_BACKEND` names, or with `auto` (the default) the most real one
    /// that this machine has. Says once per process which one it is, and why not a better one.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownBackend`], and [`Error::BackendUnavailable`] where the one that is named
    /// cannot be had: never another one in its place.
    pub async fn from_env() -> Result<Self, Error> {
        static CHOSEN: OnceCell<Backend> = OnceCell::const_new();
        let choosing = async || Self::named(&std::env::var(VARIABLE).unwrap_or_default()).await;
        CHOSEN.get_or_try_init(choosing).await.copied()
    }

    /// The back end that a word names, as [`from_env`](Self::from_env) understands it: for a
    /// program's own option.
    ///
    /// # Errors
    ///
    /// Those of [`from_env`](Self::from_env).
    pub async fn named(word: &str) -> Result<Self, Error> {
        match Wish::parse(word)? {
            Wish::Only(backend) => {
                backend.check().await?;
                eprintln!("quorlock-testkit: {backend}, as asked for");
                Ok(backend)
            }
            Wish::Auto => most_real().await,
        }
    }

    /// Whether this machine has what the back end needs. Looks once per process.
    ///
    /// # Errors
    ///
    /// [`Error::BackendUnavailable`] says what is missing, and how to get it.
    pub async fn check(self) -> Result<(), Error> {
        match self {
            Self::Containers => image().await.map(drop),
            Self::Processes => server().await.map(drop),
            Self::Embedded => Ok(()),
        }
    }

    fn unavailable(self, reason: &str) -> Error {
        Error::BackendUnavailable { backend: self, reason: reason.to_owned() }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Containers => "containers",
            Self::Processes => "processes",
            Self::Embedded => "embedded",
        })
    }
}

/// What the environment asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    Auto,
    Only(Backend),
}

impl Wish {
    fn parse(value: &str) -> Result<Self, Error> {
        if matches!(value, "" | "auto") {
            return Ok(Self::Auto);
        }
        let named = Backend::ALL.into_iter().find(|backend| backend.to_string() == value);
        named.map(Self::Only).ok_or_else(|| Error::UnknownBackend(value.to_owned()))
    }
}

/// The image that containers are made from.
pub(crate) async fn image() -> Result<String, Error> {
    static IMAGE: OnceCell<Result<String, String>> = OnceCell::const_new();
    let found = IMAGE.get_or_init(container::find_image).await.clone();
    found.map_err(|reason| Backend::Containers.unavailable(&reason))
}

/// The server that processes run.
pub(crate) async fn server() -> Result<PathBuf, Error> {
    static SERVER: OnceCell<Result<PathBuf, String>> = OnceCell::const_new();
    let found = SERVER.get_or_init(async || process::find_server()).await.clone();
    found.map_err(|reason| Backend::Processes.unavailable(&reason))
}

async fn most_real() -> Result<Backend, Error> {
    let mut why_not_better = Vec::new();
    for backend in Backend::ALL {
        match backend.check().await {
            Ok(()) => {
                eprintln!("quorlock-testkit: {}", announcement(backend, &why_not_better));
                return Ok(backend);
            }
            Err(Error::BackendUnavailable { reason, .. }) => {
                why_not_better.push(format!("{backend}: {reason}"))
            }
            Err(error) => return Err(error),
        }
    }
    unreachable!("embedded nodes need nothing")
}

fn announcement(chosen: Backend, why_not_better: &[String]) -> String {
    if why_not_better.is_empty() {
        return chosen.to_string();
    }
    format!("{chosen} ({})", why_not_better.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_words_are_understood_and_no_others() {
        assert_eq!(Wish::parse("").unwrap(), Wish::Auto);
        assert_eq!(Wish::parse("auto").unwrap(), Wish::Auto);
        for backend in Backend::ALL {
            assert_eq!(Wish::parse(&backend.to_string()).unwrap(), Wish::Only(backend));
        }
        assert!(
            matches!(Wish::parse("docker"), Err(Error::UnknownBackend(word)) if word == "docker")
        );
    }

    #[test]
    fn the_choice_says_why_it_is_not_a_better_one() {
        let reasons =
            ["containers: no engine answers".to_owned(), "processes: no server".to_owned()];
        assert_eq!(announcement(Backend::Containers, &[]), "containers");
        assert_eq!(
            announcement(Backend::Embedded, &reasons),
            "embedded (containers: no engine answers; processes: no server)"
        );
    }
}

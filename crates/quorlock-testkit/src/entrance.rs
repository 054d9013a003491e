//! How clients under test get into server processes, and how the test kit itself does. How servers are started does not
//! live here.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::error::Error;

const VARIABLE: &str = "QUORLOCK_TLS";
/// The document is where the rights are written down: what an operator copies is what the tests log in with.
const OPERATIONS: &str = include_str!("../../../docs/operations.md");
const BEFORE_RIGHTS: &str = "\nrights='";

/// The user that clients under test log in as.
pub const USER: &str = "quorlock";
/// What that user has for a password where the test kit makes the user. It opens nothing but servers on loopback.
const PASSWORD: &str = "open-sesame";
/// Rights that only newer servers know the commands for; each is given where it is known.
pub const NEWER_RIGHTS: [&str; 3] = ["+client|setinfo", "+delex", "+delifeq"];

/// The least rights of a lock's user, as `docs/operations.md` has them: keys, channels and commands.
///
/// # Panics
///
/// Where the document does not say them.
pub fn rights() -> &'static str {
    static RIGHTS: LazyLock<&str> = LazyLock::new(|| {
        let said =
            OPERATIONS.split_once(BEFORE_RIGHTS).and_then(|(_, behind)| behind.split_once('\''));
        said.expect("docs/operations.md has a line that begins with rights='").0
    });
    *RIGHTS
}

/// What the commands of `docs/operations.md` have made: certificates, a configuration, users.
#[derive(Debug)]
pub struct Tls {
    folder: PathBuf,
    password: String,
    admin_password: String,
}

impl Tls {
    /// The folder that `QUORLOCK_TLS` names, if it names one.
    ///
    /// # Panics
    ///
    /// Where something is missing in it: a test that is asked to run over TLS must not run without.
    pub fn from_env() -> Option<&'static Self> {
        static TLS: LazyLock<Option<Tls>> = LazyLock::new(|| {
            let folder = std::env::var_os(VARIABLE).filter(|value| !value.is_empty())?;
            let read = Tls::read(Path::new(&folder));
            Some(read.unwrap_or_else(|error| panic!("{VARIABLE}: {error}")))
        });
        TLS.as_ref()
    }

    fn read(folder: &Path) -> Result<Self, Error> {
        let folder = fs::canonicalize(folder).map_err(Error::io(folder))?;
        let password = |name: &str| {
            let file = folder.join(name);
            let read = fs::read_to_string(&file).map_err(Error::io(&file))?;
            Ok::<_, Error>(read.trim_end().to_owned())
        };
        let (own, admin) = (password("quorlock.password")?, password("admin.password")?);
        Ok(Self { password: own, admin_password: admin, folder })
    }

    /// Who has signed for the nodes.
    pub fn roots(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// Where the password of the locks' user is written down.
    pub fn password_file(&self) -> PathBuf {
        self.folder.join("quorlock.password")
    }

    /// What a client shows to the nodes: its certificate, and the key of that.
    pub fn identity(&self) -> (PathBuf, PathBuf) {
        (self.folder.join("client.crt"), self.folder.join("client.key"))
    }
}

/// How clients get in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entrance {
    /// Everybody has every right.
    Open,
    /// Clients log in with the least rights; without login everybody has every right.
    LeastRights,
    /// TLS only, and nobody without login: what the commands of `docs/operations.md` have made.
    Tls(&'static Tls),
}

impl Entrance {
    /// Where a client under test finds the server, or a proxy before it, at `addr`.
    pub(crate) fn url(self, addr: SocketAddr) -> String {
        match self {
            Self::Open => format!("redis://{addr}"),
            Self::LeastRights => format!("redis://{USER}:{PASSWORD}@{addr}"),
            Self::Tls(tls) => format!("rediss://{USER}:{}@{addr}", tls.password),
        }
    }

    /// Whether servers of one are as good as servers of the other.
    pub(crate) fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// The configuration of a server in `folder`, with `more` rights than the least.
    pub(crate) fn configuration(self, addr: SocketAddr, folder: &Path, more: &[String]) -> String {
        let (ip, port) = (addr.ip(), addr.port());
        let socket = socket(folder);
        let always = format!(
            "bind {ip}\nunixsocket {}\nsave \"\"\nappendonly no\ndaemonize no\n",
            socket.display()
        );
        match self {
            Self::Open => format!("{always}port {port}\n"),
            Self::LeastRights => {
                let rights = rights();
                let more = more.join(" ");
                format!("{always}port {port}\nuser {USER} on >{PASSWORD} {rights} {more}\n")
            }
            Self::Tls(tls) => {
                // What comes later wins: everything but these few lines is as it was made.
                let made = tls.folder.join("redis.conf");
                format!("include {}\n{always}tls-port {port}\n", made.display())
            }
        }
    }

    /// How the test kit gets in.
    pub(crate) fn door(self, addr: SocketAddr, folder: &Path) -> Door {
        match self {
            Self::Open | Self::LeastRights => Door::Tcp(addr),
            Self::Tls(tls) => {
                Door::Socket { path: socket(folder), password: tls.admin_password.clone() }
            }
        }
    }
}

/// Every server listens on a socket too: so the test kit needs no TLS of its own, and clients can be led there.
pub(crate) fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

/// How the test kit gets into a server, with every right.
#[derive(Debug, Clone)]
pub(crate) enum Door {
    Tcp(SocketAddr),
    Socket { path: PathBuf, password: String },
}

impl Door {
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Tcp(addr) => format!("redis://{addr}"),
            Self::Socket { path, password } => {
                format!("redis+unix://{}?user=admin&pass={password}", path.display())
            }
        }
    }
}

impl From<SocketAddr> for Door {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

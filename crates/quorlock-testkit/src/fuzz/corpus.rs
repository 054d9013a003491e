//! What inputs are made of: replies of real servers in both protocols, URLs and names as people write them, and nasty ones.

/// How deep nested values go.
const DEEP: usize = 10_000;

const REPLIES: &[&str] = &[
    "+OK\r\n",
    "+QUEUED\r\n",
    "+PONG\r\n",
    "$-1\r\n",
    "*-1\r\n",
    "_\r\n",
    ":0\r\n",
    ":1\r\n",
    ":2\r\n",
    ":-1\r\n",
    ":9223372036854775807\r\n",
    ":-9223372036854775808\r\n",
    ":9223372036854775808\r\n",
    "*2\r\n:1\r\n:9999\r\n",
    "*2\r\n:0\r\n:-2\r\n",
    "*2\r\n:-1\r\n:-2\r\n",
    "*3\r\n:2\r\n:0\r\n:0\r\n",
    "*3\r\n:0\r\n:1\r\n:1\r\n",
    "*3\r\n:64\r\n:0\r\n:0\r\n",
    "*3\r\n:1\r\n:2\r\n:3\r\n",
    "*0\r\n",
    "*1\r\n:1\r\n",
    "*2\r\n*2\r\n:1\r\n:1\r\n:1\r\n",
    "*2\r\n$1\r\n1\r\n$1\r\n5\r\n",
    "$2\r\nOK\r\n",
    "$0\r\n\r\n",
    "$36\r\n00000000-0000-0000-0000-000000000000\r\n",
    "-ERR unknown command 'EVALSHA', with args beginning with: 'x' '1' 'a' 'SECRET' \r\n",
    "-ERR Error compiling script (new function): user_script:1: syntax error\r\n",
    "-NOSCRIPT No matching script. Please use EVAL.\r\n",
    "-NOAUTH Authentication required.\r\n",
    "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    "-NOPERM this user has no permissions to run the 'eval' command\r\n",
    "-LOADING Redis is loading the dataset in memory\r\n",
    "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n",
    "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "-READONLY You can't write against a read only replica.\r\n",
    "-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist.\r\n",
    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    "-MOVED 3999 127.0.0.1:6381\r\n",
    "-ASK 3999 127.0.0.1:6381\r\n",
    "-CLUSTERDOWN The cluster is down\r\n",
    "-CROSSSLOT Keys in request don't hash to the same slot\r\n",
    "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
    "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
    "-NOREPLICAS Not enough good replicas to write.\r\n",
    "-EXECABORT Transaction discarded because of previous errors.\r\n",
    "-UNKILLABLE Sorry the script already executed write commands against the dataset.\r\n",
    "-\r\n",
    "- \r\n",
    "!21\r\nSYNTAX invalid syntax\r\n",
    "*2\r\n:1\r\n-NOSCRIPT gone\r\n",
    "%1\r\n+server\r\n+redis\r\n",
    "%2\r\n+first\r\n:1\r\n+second\r\n:2\r\n",
    "~2\r\n:1\r\n:5\r\n",
    ">2\r\n+invalidate\r\n*1\r\n$1\r\na\r\n",
    ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n",
    "|1\r\n+ttl\r\n:3600\r\n:1\r\n",
    "|0\r\n+OK\r\n",
    ",1.5\r\n",
    ",inf\r\n",
    ",nan\r\n",
    "#t\r\n",
    "#f\r\n",
    "(3492890328409238509324850943850943825024385\r\n",
    "=6\r\ntxt:OK\r\n",
    "=2\r\nOK\r\n",
    "$999999999999\r\nOK\r\n",
    "$9223372036854775807\r\n",
    "$-2\r\n",
    "!-1\r\nERR\r\n",
    "=-1\r\ntxt:\r\n",
    "*2147483647\r\n:1\r\n",
    "*9223372036854775807\r\n",
    "%4611686018427387904\r\n",
    "%9223372036854775807\r\n",
    "%-1\r\n",
    "|9223372036854775807\r\n",
    "|-1\r\n",
    "~9223372036854775807\r\n",
    ">9223372036854775807\r\n",
    ">-1\r\n",
    ">0\r\n",
    "",
    "\r\n",
    "OK\r\n",
    "+OK\n",
    "+OK\r\n+OK\r\n",
    ":1\r\n:1\r\n",
    "HTTP/1.1 400 Bad Request\r\n\r\n",
];

const URLS: &[&str] = &[
    "redis://10.0.0.1",
    "redis://10.0.0.1:6379",
    "redis://Node-1.example./3",
    "redis://:S3CRET@10.0.0.1:6380/15",
    "redis://user:S3CRET@host.example:6379/0",
    "redis://user:S3CRET%40x@host/1?protocol=resp3",
    "rediss://user:S3CRET@host:6380",
    "rediss://user:S3CRET@host:6380/0#insecure",
    "valkey://host",
    "valkeys://user:S3CRET@host",
    "unix:///run/redis.sock",
    "unix:///run/redis.sock?db=3&user=u&pass=S3CRET",
    "redis+unix:///run/redis.sock?pass=S3CRET",
    "redis://[::1]:7000/3",
    "redis://[::ffff:127.0.0.1]",
    "redis://[fe80::1%25eth0]:6379",
    "redis://127.1",
    "redis://0x7f.1",
    "redis://host:0",
    "redis://host:65535/2147483647",
    "redis://host:65536",
    "redis://host/-1",
    "redis://host/x",
    "redis://u:S3CRET@a:port",
    "redis://:S3CRET@a/x",
    "redis://:S3CRET@",
    "redis://",
    "redis://.",
    "redis://[]",
    "http://u:S3CRET@a",
    "host:6379",
    "",
];

const NAMES: &[&str] = &[
    "\ninvoice:42",
    "shop/\ninvoice:42",
    "\na\nb\na",
    "\n",
    "\n\n",
    "quorlock:\nx",
    "quor\nlock:x",
    "\nquorlock:fence",
    "p\nquorlock:fence",
    "\nä\u{1F512}\u{0}\u{7f}",
    "{tag}\na\nb\nc\nd\ne",
];

/// In front of a value, so that it is inside of another.
pub(super) const NESTS: &[&str] =
    &["*1\r\n", "*2\r\n:1\r\n", "%1\r\n+k\r\n", "~1\r\n", "|1\r\n", ">1\r\n"];

pub(super) fn replies() -> Vec<Vec<u8>> {
    let mut all = owned(REPLIES);
    for nest in NESTS {
        all.push(format!("{}:1\r\n", nest.repeat(DEEP)).into_bytes());
        // As deep as the driver goes.
        all.push(format!("{}:1\r\n", nest.repeat(99)).into_bytes());
    }
    // A promise of many, at every level.
    all.push("*2147483647\r\n".repeat(DEEP).into_bytes());
    all.push("%2147483647\r\n".repeat(DEEP).into_bytes());
    all.push(format!("*{DEEP}\r\n{}", ":1\r\n".repeat(DEEP)).into_bytes());
    all.push(format!("-ERR {}\r\n", "x".repeat(65_536)).into_bytes());
    all.push(format!("$65536\r\n{}\r\n", "x".repeat(65_536)).into_bytes());
    all
}

pub(super) fn urls() -> Vec<Vec<u8>> {
    let mut all = owned(URLS);
    all.push(format!("redis://{}", "a".repeat(65_536)).into_bytes());
    all.push(format!("redis://{}", "[".repeat(DEEP)).into_bytes());
    all
}

pub(super) fn names() -> Vec<Vec<u8>> {
    let mut all = owned(NAMES);
    for count in [64, 65] {
        let names: Vec<_> = (0..count).map(|name| format!("n{name}")).collect();
        all.push(format!("\n{}", names.join("\n")).into_bytes());
    }
    for length in [1023, 1024, 1025] {
        all.push(format!("\n{}", "x".repeat(length)).into_bytes());
        all.push(format!("p\n{}", "x".repeat(length)).into_bytes());
    }
    all
}

fn owned(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

//! Scripts: the library's own Lua files, the conversions between Lua and Redis, and the error texts.

use quorlock_testkit::embedded::{EmbeddedNode, Reply};
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, ProtocolVersion, RedisConnectionInfo, Script};

use super::connections::{over_pipe, over_tcp};

pub(crate) use quorlock::seam::text::{
    ACQUIRE, ACQUIRE_FENCED, CERTIFY, EXTEND, RELEASE, RELEASE_TOGETHER, REPAIR,
};

async fn run<T: FromRedisValue>(
    connection: &mut MultiplexedConnection,
    script: &str,
    keys: &[&str],
    args: &[&str],
) -> T {
    let script = Script::new(script);
    let mut call = script.prepare_invoke();
    keys.iter().for_each(|key| {
        call.key(*key);
    });
    args.iter().for_each(|arg| {
        call.arg(*arg);
    });
    call.invoke_async(connection).await.expect("the script runs")
}

/// Both keys taken, extended, one lost and repaired, given back; another's key untouched.
async fn the_library_files_do_their_work(
    node: &EmbeddedNode,
    mut connection: MultiplexedConnection,
) {
    let c = &mut connection;
    let keys = ["a", "b"];
    assert_eq!(run::<i64>(c, ACQUIRE, &keys, &["token", "60000"]).await, 1);
    assert_eq!(run::<i64>(c, ACQUIRE, &["b", "c"], &["other", "60000"]).await, 0);
    assert_eq!(node.keys(), keys, "all or nothing");

    let (kept, left): (i64, i64) = run(c, EXTEND, &keys, &["token", "90000"]).await;
    assert_eq!(kept, 1);
    assert!((50_000..=60_000).contains(&left), "{left}");
    run::<(i64, i64)>(c, EXTEND, &keys, &["token", "10"]).await;
    assert!(node.run(&["PTTL", "a"]).int() > Some(80_000), "never shorter");
    assert_eq!(run::<(i64, i64)>(c, EXTEND, &keys, &["other", "90000"]).await, (-1, -2));

    node.run(&["DEL", "b"]);
    assert_eq!(run::<(i64, i64)>(c, EXTEND, &keys, &["token", "90000"]).await, (0, -2));
    assert_eq!(run::<i64>(c, REPAIR, &keys, &["other", "60000"]).await, 0);
    assert_eq!(run::<i64>(c, REPAIR, &keys, &["token", "60000"]).await, 1);
    assert_eq!(node.keys(), keys);

    node.run(&["LPUSH", "list", "x"]);
    node.run(&["SET", "other", "other", "EX", "60"]);
    let all = ["a", "b", "gone", "list", "other"];
    assert_eq!(run::<(i64, i64, i64)>(c, RELEASE, &all, &["token"]).await, (2, 2, 1));
    assert_eq!(node.keys(), ["list", "other"]);

    node.run(&["SET", "a", "one"]);
    node.run(&["SET", "b", "two"]);
    assert_eq!(run::<i64>(c, RELEASE_TOGETHER, &keys, &["one", "two"]).await, 1);
    node.run(&["SET", "a", "one"]);
    let all = ["gone", "list", "other", "a"];
    let released: Vec<i64> = run(c, RELEASE_TOGETHER, &all, &["one", "two", "three", "one"]).await;
    assert_eq!(released, [0, 2, 2, 1]);
    assert_eq!(node.keys(), ["list", "other"]);
    node.run(&["DEL", "list", "other"]);
}

#[tokio::test]
async fn the_files_run_over_tcp_in_both_protocols() {
    let node = EmbeddedNode::tcp().await.unwrap();
    for query in ["", "?protocol=resp3"] {
        the_library_files_do_their_work(&node, over_tcp(&node, query).await).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_files_run_over_a_pipe_in_both_protocols() {
    let node = EmbeddedNode::pipe("node");
    for protocol in [ProtocolVersion::RESP2, ProtocolVersion::RESP3] {
        let info = RedisConnectionInfo::default().set_protocol(protocol);
        the_library_files_do_their_work(&node, over_pipe(&node, info).await.unwrap()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_flushed_script_is_asked_for_again() {
    let node = EmbeddedNode::pipe("node");
    let script = Script::new("return 7");
    let call = |node: &EmbeddedNode| node.run(&["EVALSHA", script.get_hash(), "0"]);
    let missing = Reply::Error("NOSCRIPT No matching script. Please use EVAL.".to_owned());
    assert_eq!(call(&node), missing);
    assert_eq!(node.run(&["EVAL", "return 7", "0"]), Reply::Int(7));
    assert_eq!(call(&node), Reply::Int(7), "EVAL leaves the script behind");
    node.flush_scripts();
    assert_eq!(call(&node), missing);
    assert_eq!(node.run(&["SCRIPT", "LOAD", "return 7"]).text(), Some(script.get_hash()));
    assert_eq!(call(&node), Reply::Int(7));
    node.bounce().unwrap();
    assert_eq!(call(&node), missing, "scripts do not outlive the process");
}

#[tokio::test(start_paused = true)]
async fn values_are_converted_as_in_the_server() {
    let node = EmbeddedNode::pipe("node");
    node.run(&["SET", "text", "v"]);
    let int = |number| Reply::Int(number);
    for (body, expected) in [
        ("return 3.99", int(3)),
        ("return -3.99", int(-3)),
        ("return true", int(1)),
        ("return false", Reply::Nil),
        ("return", Reply::Nil),
        ("return 'text'", Reply::Bulk(b"text".to_vec())),
        (
            "return {1, 'a', {2}, nil, 3}",
            Reply::Array(vec![int(1), Reply::Bulk(b"a".to_vec()), Reply::Array(vec![int(2)])]),
        ),
        ("return {ok = 'fine'}", Reply::Status("fine".to_owned())),
        ("return {err = 'MY error'}", Reply::Error("MY error".to_owned())),
        ("return redis.status_reply('fine')", Reply::Status("fine".to_owned())),
        ("return redis.error_reply('MY error')", Reply::Error("MY error".to_owned())),
        ("return redis.error_reply('single')", Reply::Error("ERR single".to_owned())),
        ("return redis.call('GET', 'absent') == false", int(1)),
        ("return type(redis.call('PTTL', 'text'))", Reply::Bulk(b"number".to_vec())),
        ("return redis.call('SET', 'text', 3600000).ok", Reply::Bulk(b"OK".to_vec())),
        ("return redis.call('GET', 'text')", Reply::Bulk(b"3600000".to_vec())),
        ("return {KEYS[1], ARGV[1], #KEYS}", Reply::Array(vec![int(0)])),
        (
            "return redis.sha1hex('')",
            Reply::Bulk(b"da39a3ee5e6b4b0d3255bfef95601890afd80709".to_vec()),
        ),
        ("return math.max(unpack({1, 5, 3}))", int(5)),
    ] {
        let expected = match body.contains("KEYS") {
            true => Reply::Array(vec![]),
            false => expected,
        };
        assert_eq!(node.run(&["EVAL", body, "0"]), expected, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_name_the_script_and_the_line() {
    let node = EmbeddedNode::pipe("node");
    node.run(&["LPUSH", "l", "x"]);
    for (body, text, line) in [
        (
            "return redis.call('GET', 'l')",
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            1,
        ),
        (
            "local x\n\nreturn redis.call('INCR', 'l')",
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            3,
        ),
        ("redis.call('NOPE')", "ERR Unknown Redis command called from script", 1),
        ("redis.call('GET')", "ERR Wrong number of args calling Redis command from script", 1),
        ("redis.call('CLIENT', 'ID')", "ERR This Redis command is not allowed from script", 1),
        ("redis.call()", "ERR Please specify at least one argument for this redis lib call", 1),
        (
            "redis.call('SET', 'a', {})",
            "ERR Lua redis lib command arguments must be strings or integers",
            1,
        ),
        (
            "redis.call('SET', 'a', 'b', 'PX', 'x')",
            "ERR value is not an integer or out of range",
            1,
        ),
        ("error('boom')", "ERR user_script:1: boom", 1),
        ("\nreturn nil + 1", "ERR user_script:2: attempt to perform arithmetic on a nil value", 2),
        (
            "return foo",
            "ERR user_script:1: Script attempted to access nonexistent global variable 'foo'",
            1,
        ),
        ("foo = 1", "ERR user_script:1: Attempt to modify a readonly table", 1),
    ] {
        let sha = sha1(&node, body);
        let expected = format!("{text} script: {sha}, on @user_script:{line}.");
        assert_eq!(node.run(&["EVAL", body, "0"]), Reply::Error(expected), "{body}");
    }
    assert_eq!(
        node.run(&["EVAL", "syntax error here", "0"]),
        Reply::Error(
            "ERR Error compiling script (new function): user_script:1: '=' expected near 'error'"
                .to_owned()
        )
    );
    let caught = node.run(&["EVAL", "return redis.pcall('GET', 'l').err", "0"]);
    assert!(caught.text().is_some_and(|text| text.starts_with("WRONGTYPE")), "{caught:?}");
}

fn sha1(node: &EmbeddedNode, body: &str) -> String {
    let loaded = node.run(&["SCRIPT", "LOAD", body]);
    loaded.text().expect("the script compiles").to_owned()
}

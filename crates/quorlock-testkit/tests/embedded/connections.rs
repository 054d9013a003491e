//! What belongs to a connection: its protocol, name, database and password, over TCP and over pipes, raw and through
//! the driver that the library uses.

use quorlock_testkit::embedded::EmbeddedNode;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisResult, Value, cmd};
use tokio::net::TcpStream;

use crate::raw::{LIMIT, Raw, eventually};

/// The driver over a pipe.
pub(crate) async fn over_pipe(
    node: &EmbeddedNode,
    info: RedisConnectionInfo,
) -> RedisResult<MultiplexedConnection> {
    let pipe = node.connect().expect("the node is up");
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let (connection, driver) = MultiplexedConnection::new_with_config(&info, pipe, config).await?;
    tokio::spawn(driver);
    Ok(connection)
}

/// The driver over TCP, by the node's own URL.
pub(crate) async fn over_tcp(node: &EmbeddedNode, query: &str) -> MultiplexedConnection {
    let client = redis::Client::open(format!("{}/{query}", node.url())).expect("the URL is right");
    client.get_multiplexed_async_connection_with_config(&patient()).await.expect("the node is up")
}

/// The driver's own limits are too short for a busy machine.
pub(crate) fn patient() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(LIMIT))
        .set_response_timeout(Some(LIMIT))
}

#[tokio::test]
async fn the_driver_connects_over_tcp_in_both_protocols() {
    let node = EmbeddedNode::tcp().await.unwrap();
    for query in ["3", "3?protocol=resp3"] {
        let mut connection = over_tcp(&node, query).await;
        let set: Value = cmd("SET").arg("k").arg("v").query_async(&mut connection).await.unwrap();
        assert_eq!(set, Value::Okay);
        let nil: Value = cmd("GET").arg("absent").query_async(&mut connection).await.unwrap();
        assert_eq!(nil, Value::Nil);
    }
    assert!(node.log().iter().any(|line| line == "SELECT 3"), "{:?}", node.log());
    assert_eq!(node.run(&["EXISTS", "k"]).int(), Some(0), "database 0 is another one");
    assert_eq!(node.keys(), ["k"], "keys() sees all databases");
}

#[tokio::test(start_paused = true)]
async fn a_password_is_asked_for_and_taken_in_both_protocols() {
    let node = EmbeddedNode::pipe("node");
    node.set_password(Some("secret"));
    for protocol in [ProtocolVersion::RESP2, ProtocolVersion::RESP3] {
        let info = RedisConnectionInfo::default().set_protocol(protocol);
        let right = info.clone().set_password("secret");
        let mut connection = over_pipe(&node, right).await.expect("the password is right");
        let pong: String = cmd("PING").query_async(&mut connection).await.unwrap();
        assert_eq!(pong, "PONG");
        assert!(over_pipe(&node, info.set_password("wrong")).await.is_err());
    }
    let mut stranger = Raw(node.connect().unwrap());
    stranger.ask("GET k", "-NOAUTH Authentication required.\r\n").await;
    stranger
        .ask("AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled.\r\n")
        .await;
    stranger.ask("AUTH default secret", "+OK\r\n").await;
    stranger.ask("GET k", "$-1\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn hello_switches_the_protocol_and_names_the_client() {
    let node = EmbeddedNode::pipe("node");
    let mut client = Raw(node.connect().unwrap());
    client.ask("GET k", "$-1\r\n").await;
    client.ask("HELLO 4", "-NOPROTO unsupported protocol version\r\n").await;
    client.ask("HELLO 3 SETNAME me", "%7\r\n").await;
    drop(client);

    let mut client = Raw(node.connect().unwrap());
    client
        .ask(
            "HELLO 2 SETNAME me",
            "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n",
        )
        .await;
    client
        .expect("$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:2\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n")
        .await;
    client.expect("$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n").await;
    client.ask("CLIENT GETNAME", "$2\r\nme\r\n").await;
    client.ask("CLIENT SETNAME a:b", "+OK\r\n").await;
    client.ask("CLIENT ID", ":2\r\n").await;
    client.ask("CLIENT SETINFO LIB-NAME x", "+OK\r\n").await;
    let list = node.run(&["CLIENT", "LIST"]);
    assert!(list.text().is_some_and(|text| text.contains("id=2 addr=pipe name=a:b db=0 resp=2")));
}

#[tokio::test(start_paused = true)]
async fn client_kill_ends_another_connection_and_no_other() {
    let node = EmbeddedNode::pipe("node");
    let (mut first, mut second) = (Raw(node.connect().unwrap()), Raw(node.connect().unwrap()));
    second.ask("CLIENT KILL ID 7", ":0\r\n").await;
    second.ask("CLIENT KILL ID 2", ":0\r\n").await;
    second.ask("CLIENT KILL ID x", "-ERR client-id should be greater than 0\r\n").await;
    second.ask("CLIENT KILL ID 1", ":1\r\n").await;
    first.end().await;
    second.ask("PING", "+PONG\r\n").await;
    assert_eq!(node.connections(), 1);
}

#[tokio::test]
async fn quit_is_answered_before_the_connection_ends() {
    let node = EmbeddedNode::tcp().await.unwrap();
    let addr = node.url().replace("redis://", "");
    let mut client = Raw(TcpStream::connect(addr).await.unwrap());
    client.ask("QUIT", "+OK\r\n").await;
    assert_eq!(client.end().await, std::io::ErrorKind::UnexpectedEof);
    eventually("no connection is left", || node.connections() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn pipelined_commands_are_answered_in_order_and_noted_with_their_arguments() {
    let node = EmbeddedNode::pipe("node");
    let mut client = Raw(node.connect().unwrap());
    for command in ["SET k v PX 5", "INCR n", "GET k"] {
        client.send(command).await;
    }
    client.expect("+OK\r\n:1\r\n$1\r\nv\r\n").await;
    assert_eq!(node.log(), ["SET k v PX 5", "INCR n", "GET k"]);
    assert_eq!((node.commands(), node.answered()), (3, 3));
    assert_eq!((node.connections(), node.accepted()), (1, 1));
    node.run(&["PING"]);
    assert_eq!(node.commands(), 3, "the observer is not counted");
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_answered_with_an_error_and_an_end() {
    let node = EmbeddedNode::pipe("node");
    let mut client = Raw(node.connect().unwrap());
    tokio::io::AsyncWriteExt::write_all(&mut client.0, b"GET k\r\n").await.unwrap();
    client.expect("-ERR Protocol error: expected an array of bulk strings\r\n").await;
    client.end().await;
}

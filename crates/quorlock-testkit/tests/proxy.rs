//! Each verb of the proxy, over TCP and over pipes: what a client and a node see of it. What a node does by itself is
//! tested in `embedded`.

#[path = "raw/mod.rs"]
mod raw;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use quorlock_testkit::embedded::{EmbeddedNode, PipeNet};
use quorlock_testkit::proxy::{Direction, Proxy, Relay};
use raw::{Raw, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// A node behind a wire, and one client that has been answered already.
struct OverPipe {
    net: PipeNet,
    node: EmbeddedNode,
    wire: Relay,
    client: Raw<DuplexStream>,
}

impl OverPipe {
    async fn new() -> Self {
        let node = EmbeddedNode::pipe("node");
        let net = PipeNet::new([node.clone()]);
        let mut client = Raw(net.connect("node").expect("the node is up"));
        client.ask("PING", "+PONG\r\n").await;
        Self { wire: net.relay("node"), net, node, client }
    }

    fn connect(&self) -> Raw<DuplexStream> {
        Raw(self.net.connect("node").expect("the node is up"))
    }
}

async fn over_tcp() -> (EmbeddedNode, Proxy, Raw<TcpStream>) {
    let node = EmbeddedNode::tcp().await.expect("loopback");
    let upstream: SocketAddr = node.url().replace("redis://", "").parse().expect("an address");
    let proxy = Proxy::start(upstream).await.expect("loopback");
    let mut client = Raw(TcpStream::connect(proxy.addr()).await.expect("the proxy listens"));
    client.ask("PING", "+PONG\r\n").await;
    (node, proxy, client)
}

const fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[tokio::test(start_paused = true)]
async fn a_partition_loses_everything_and_a_connection_that_lost_bytes_stays_mute() {
    let OverPipe { net, node, client: mut loser, .. } = OverPipe::new().await;
    let mut idle = Raw(net.connect("node").unwrap());
    net.partition("node");
    loser.send("SET k v").await;
    loser.expect_silence().await;
    net.repair("node");
    loser.send("SET k w").await;
    loser.expect_silence().await;
    assert!(node.keys().is_empty(), "nothing comes out behind a gap");
    idle.ask("PING", "+PONG\r\n").await;
    Raw(net.connect("node").unwrap()).ask("GET k", "$-1\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn lost_requests_do_not_run() {
    let mut t = OverPipe::new().await;
    t.wire.drop_requests();
    t.client.send("SET k v").await;
    t.client.expect_silence().await;
    assert!(t.node.keys().is_empty());
    assert_eq!((t.wire.requests(), t.wire.replies(), t.wire.unanswered()), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn lost_replies_mean_that_the_command_ran() {
    let mut t = OverPipe::new().await;
    t.net.partition_oneway("node", Direction::Replies);
    t.client.send("SET k v").await;
    t.client.expect_silence().await;
    assert_eq!(t.node.keys(), ["k"]);
    assert_eq!((t.wire.requests(), t.wire.replies(), t.wire.unanswered()), (2, 2, 0));
    t.net.repair("node");
    t.client.send("GET k").await;
    t.client.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn held_bytes_arrive_in_order_after_the_release() {
    let mut t = OverPipe::new().await;
    t.net.hold("node");
    t.client.send("SET k v").await;
    t.client.send("GET k").await;
    t.client.expect_silence().await;
    assert!(t.node.keys().is_empty());
    t.net.release("node");
    t.client.expect("+OK\r\n$1\r\nv\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn held_bytes_arrive_also_after_their_client_has_closed() {
    let OverPipe { net, node, wire, mut client } = OverPipe::new().await;
    wire.hold();
    client.send("SET k late").await;
    eventually("it is on the wire", || wire.requests() == 2).await;
    drop(client);
    eventually("the close was seen", || wire.connections() == 0).await;
    assert!(node.keys().is_empty());
    assert_eq!(node.connections(), 1, "the node has not heard of the close");
    net.release("node");
    eventually("the orphan ran", || node.keys() == ["k"]).await;
    eventually("then the close came", || node.connections() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn held_bytes_of_a_connection_that_was_killed_are_not_run() {
    let OverPipe { net, node, wire, mut client } = OverPipe::new().await;
    wire.hold();
    client.send("SET k late").await;
    eventually("it is on the wire", || wire.requests() == 2).await;
    drop(client);
    node.run(&["CLIENT", "KILL", "ID", "1"]);
    net.release("node");
    Raw(net.connect("node").unwrap()).ask("PING", "+PONG\r\n").await;
    assert!(node.keys().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_close_is_not_heard_through_a_partition_until_it_is_repaired() {
    let t = OverPipe::new().await;
    t.wire.partition();
    drop(t.client);
    tokio::time::sleep(ms(1000)).await;
    assert_eq!(t.node.connections(), 1);
    t.wire.repair();
    eventually("the close came through", || t.node.connections() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_not_heard_through_a_partition_until_it_is_repaired() {
    let mut t = OverPipe::new().await;
    t.wire.partition();
    t.node.crash();
    t.client.expect_silence().await;
    let mut late = Raw(t.net.connect("node").expect("the client cannot know"));
    late.expect_silence().await;
    t.wire.repair();
    t.client.end().await;
    late.end().await;
    assert_eq!(t.net.connect("node").expect_err("now it can").kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn a_slow_wire_delays_each_way_and_does_not_throttle() {
    let mut t = OverPipe::new().await;
    t.wire.slow(ms(20));
    let start = Instant::now();
    for _ in 0..10 {
        t.client.send("PING").await;
        tokio::time::sleep(ms(1)).await;
    }
    t.client.expect("+PONG\r\n").await;
    assert_eq!(start.elapsed(), ms(40));
    t.client.expect(&"+PONG\r\n".repeat(9)).await;
    assert_eq!(start.elapsed(), ms(49));
}

#[tokio::test(start_paused = true)]
async fn nothing_overtakes_when_the_wire_becomes_faster() {
    let mut t = OverPipe::new().await;
    t.wire.slow(ms(50));
    t.client.send("ECHO first").await;
    eventually("it is on the wire", || t.wire.requests() == 2).await;
    t.wire.slow(Duration::ZERO);
    t.client.send("ECHO second").await;
    t.client.expect("$5\r\nfirst\r\n$6\r\nsecond\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn repair_ends_every_fault() {
    let mut t = OverPipe::new().await;
    t.wire.slow(ms(50));
    t.wire.hold();
    t.wire.refuse();
    t.client.send("PING").await;
    t.client.expect_silence().await;
    assert!(t.net.connect("node").is_err());
    t.wire.repair();
    let start = Instant::now();
    t.client.expect("+PONG\r\n").await;
    t.connect().ask("PING", "+PONG\r\n").await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_is_not_found_and_a_crashed_node_refuses() {
    let t = OverPipe::new().await;
    assert_eq!(t.net.connect("nobody").expect_err("no such name").kind(), ErrorKind::NotFound);
    t.node.crash();
    assert_eq!(t.net.connect("node").expect_err("down").kind(), ErrorKind::ConnectionRefused);
    t.node.restart().unwrap();
    t.connect().ask("PING", "+PONG\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_said_its_last_word_still_hears_the_answer() {
    let mut t = OverPipe::new().await;
    t.wire.slow(ms(10));
    t.client.send("GET k").await;
    t.client.0.shutdown().await.unwrap();
    t.client.expect("$-1\r\n").await;
    t.client.end().await;
}

#[tokio::test(start_paused = true)]
async fn two_networks_in_front_of_one_node_fail_apart() {
    let mut t = OverPipe::new().await;
    let other = PipeNet::new([t.node.clone()]);
    other.partition("node");
    t.client.ask("PING", "+PONG\r\n").await;
    let mut cut = Raw(other.connect("node").unwrap());
    cut.send("PING").await;
    cut.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn more_than_the_buffers_hold_comes_through_whole() {
    let mut t = OverPipe::new().await;
    let text = "x".repeat(3 << 20);
    t.client.ask(&format!("SET k {text}"), "+OK\r\n").await;
    t.client.ask("GET k", &format!("${}\r\n{text}\r\n", text.len())).await;
    assert_eq!((t.wire.requests(), t.wire.replies()), (3, 3));
}

#[tokio::test]
async fn over_tcp_a_command_is_forwarded_held_and_lost_just_so() {
    let (node, proxy, mut client) = over_tcp().await;
    client.ask("SET k v", "+OK\r\n").await;
    proxy.hold();
    client.send("GET k").await;
    eventually("it is on the wire", || proxy.requests() == 3).await;
    assert_eq!(node.commands(), 2);
    proxy.release();
    client.expect("$1\r\nv\r\n").await;
    proxy.drop_replies();
    client.send("SET k w").await;
    eventually("it ran", || node.run(&["GET", "k"]).text() == Some("w")).await;
    eventually("its reply was lost", || proxy.replies() == 4).await;
    client.expect_silence().await;
}

#[tokio::test]
async fn over_tcp_held_bytes_of_a_closed_client_arrive_after_the_release() {
    let (node, proxy, mut client) = over_tcp().await;
    proxy.hold();
    client.send("SET k late").await;
    eventually("it is on the wire", || proxy.requests() == 2).await;
    // As a client does that gives a connection up: the close is a RST.
    socket2::SockRef::from(&client.0).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    eventually("the close was seen", || proxy.connections() == 0).await;
    assert!(node.keys().is_empty());
    proxy.release();
    eventually("the orphan ran", || node.keys() == ["k"]).await;
    eventually("the node has heard of the close", || node.connections() == 0).await;
}

#[tokio::test]
async fn a_reset_is_a_reset_at_both_ends() {
    let (node, proxy, mut client) = over_tcp().await;
    proxy.reset();
    assert_eq!(client.end().await, ErrorKind::ConnectionReset);
    assert_eq!(proxy.connections(), 0);
    eventually("the node has heard", || node.connections() == 0).await;
    Raw(TcpStream::connect(proxy.addr()).await.unwrap()).ask("PING", "+PONG\r\n").await;
}

#[tokio::test]
async fn refuse_closes_new_connections_and_leaves_open_ones() {
    let (node, proxy, mut client) = over_tcp().await;
    proxy.refuse();
    let mut refused = Raw(TcpStream::connect(proxy.addr()).await.unwrap());
    assert_eq!(refused.end().await, ErrorKind::ConnectionReset);
    client.ask("PING", "+PONG\r\n").await;
    assert_eq!((proxy.accepted(), proxy.connections(), node.accepted()), (2, 1, 1));
    proxy.repair();
    Raw(TcpStream::connect(proxy.addr()).await.unwrap()).ask("PING", "+PONG\r\n").await;
}

#[tokio::test]
async fn a_silent_accept_never_answers_and_never_forwards() {
    let (node, proxy, mut client) = over_tcp().await;
    proxy.accept_then_silence();
    let mut silent = Raw(TcpStream::connect(proxy.addr()).await.unwrap());
    silent.send("SET k v").await;
    eventually("it was read", || proxy.requests() == 2).await;
    proxy.repair();
    silent.expect_silence().await;
    assert_eq!((node.commands(), node.accepted()), (1, 1));
    client.ask("PING", "+PONG\r\n").await;
    drop(silent);
    eventually("it is forgotten", || proxy.connections() == 1).await;
}

#[tokio::test]
async fn a_crashed_node_ends_connections_and_new_ones_are_reset() {
    let (node, proxy, mut client) = over_tcp().await;
    node.crash();
    client.end().await;
    Raw(TcpStream::connect(proxy.addr()).await.unwrap()).end().await;
    node.restart().unwrap();
    Raw(TcpStream::connect(proxy.addr()).await.unwrap()).ask("PING", "+PONG\r\n").await;
    assert_eq!(proxy.url(), format!("redis://{}", proxy.addr()));
}

#[tokio::test]
async fn when_the_proxy_is_dropped_everything_ends() {
    let (node, proxy, mut client) = over_tcp().await;
    let addr = proxy.addr();
    proxy.hold();
    client.send("PING").await;
    drop(proxy);
    client.end().await;
    assert!(std::net::TcpStream::connect(addr).is_err(), "nobody listens");
    eventually("the node has heard", || node.connections() == 0).await;
    drop(node);
    eventually("no task is left", || Handle::current().metrics().num_alive_tasks() == 0).await;
}

/// Faults come and go while clients on other threads work: nothing hangs, and no reply is ever another request's.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_changing_faults_no_reply_is_mistaken_and_nothing_stays_behind() {
    let node = EmbeddedNode::tcp().await.unwrap();
    let upstream = node.url().replace("redis://", "").parse().unwrap();
    let proxy = Proxy::start(upstream).await.unwrap();
    let clients: Vec<_> = (0..8).map(|n| tokio::spawn(echo_until_told(proxy.addr(), n))).collect();
    for round in 0..120 {
        match round % 8 {
            0 => proxy.hold(),
            1 => proxy.reset(),
            2 => proxy.drop_replies(),
            3 => node.pause(),
            4 => node.bounce().unwrap(),
            5 => proxy.slow(ms(1)),
            6 => proxy.partition(),
            _ => proxy.refuse(),
        }
        tokio::time::sleep(ms(2)).await;
        node.resume();
        proxy.repair();
        tokio::time::sleep(ms(2)).await;
    }
    for client in clients {
        client.abort();
        match client.await {
            Ok(never) => never,
            Err(ended) => assert!(ended.is_cancelled(), "{ended}"),
        }
    }
    assert!(node.answered() > 100, "the clients did work: {}", node.answered());
    eventually("all clients are forgotten", || proxy.connections() + node.connections() == 0).await;
    drop((proxy, node));
    eventually("no task is left", || Handle::current().metrics().num_alive_tasks() == 0).await;
}

/// Asks for an echo again and again, on a new connection whenever one fails or is mute.
async fn echo_until_told(addr: SocketAddr, client: usize) {
    for attempt in 0_u64.. {
        let Ok(stream) = TcpStream::connect(addr).await else { continue };
        let mut stream = tokio::io::BufStream::new(stream);
        for question in 0_u64.. {
            let word = format!("{client:04}{attempt:08}{question:08}");
            let request = format!("*2\r\n$4\r\nECHO\r\n$20\r\n{word}\r\n");
            let mut reply = [0; 27];
            let asked = async {
                stream.write_all(request.as_bytes()).await?;
                stream.flush().await?;
                stream.read_exact(&mut reply).await
            };
            match tokio::time::timeout(ms(5), asked).await {
                Ok(Ok(_)) => assert_eq!(reply, format!("$20\r\n{word}\r\n").as_bytes()),
                // A late reply must not meet the next question: as a client does, start anew.
                _ => break,
            }
        }
    }
}

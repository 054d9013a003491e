//! Commands that touch neither keys nor the connection: PING, ECHO, TIME, INFO, SELECT, COMMAND.

use super::Command;
use crate::embedded::facts::{Mode, Role};
use crate::embedded::keyspace::DATABASES;
use crate::embedded::reply::Reply;
use crate::embedded::server::Server;
use crate::embedded::session::Session;
use crate::embedded::view::{Args, Outcome, View};

/// The server whose replies are imitated.
pub(crate) const VERSION: &str = "7.0.15";

pub(crate) fn ping(_: &mut View<'_>, args: &Args) -> Outcome {
    match &args[1..] {
        [] => Ok(Reply::Status("PONG".to_owned())),
        [text] => Ok(Reply::Bulk(text.clone())),
        _ => Err("ERR wrong number of arguments for 'ping' command".to_owned()),
    }
}

pub(crate) fn echo(_: &mut View<'_>, args: &Args) -> Outcome {
    Ok(Reply::Bulk(args[1].clone()))
}

/// What is told of a command is only that it is there.
pub(crate) fn command(server: &mut Server, _: &mut Session, args: &Args) -> Outcome {
    let [_, verb, names @ ..] = args else { return Ok(Reply::Array(Vec::new())) };
    if !verb.eq_ignore_ascii_case(b"info") {
        return Ok(Reply::Array(Vec::new()));
    }
    let info = |name: &Vec<u8>| match Command::named(name, server.native) {
        Some(command) => Reply::Array(vec![Reply::bulk(command.name)]),
        None => Reply::Nil,
    };
    Ok(Reply::Array(names.iter().map(info).collect()))
}

pub(crate) fn select(view: &mut View<'_>, args: &Args) -> Outcome {
    view.select(&args[1])?;
    Ok(Reply::ok())
}

pub(crate) fn time(view: &mut View<'_>, _: &Args) -> Outcome {
    let parts = [view.now_us / 1_000_000, view.now_us % 1_000_000];
    Ok(Reply::Array(parts.map(|part| Reply::bulk(part.to_string())).to_vec()))
}

pub(crate) fn info(view: &mut View<'_>, args: &Args) -> Outcome {
    let wanted = |name: &str| {
        args.len() == 1
            || args[1..].iter().any(|arg| {
                let all = ["all", "default", "everything", name];
                all.iter().any(|word| arg.eq_ignore_ascii_case(word.as_bytes()))
            })
    };
    let sections = sections(view);
    let wanted: Vec<String> = sections
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, lines)| {
            let lines: Vec<String> = lines.iter().map(|line| format!("{line}\r\n")).collect();
            format!("# {name}\r\n{}", lines.concat())
        })
        .collect();
    Ok(Reply::Verbatim(wanted.join("\r\n")))
}

/// In the order of the server.
fn sections(view: &View<'_>) -> [(&'static str, Vec<String>); 5] {
    let (facts, now_us) = (view.facts, view.now_us);
    let server = vec![
        format!("redis_version:{VERSION}"),
        format!("redis_mode:{}", facts.mode.name()),
        format!("run_id:{}", facts.run_id),
        format!("tcp_port:{}", facts.port),
        format!("server_time_usec:{now_us}"),
        format!("uptime_in_seconds:{}", (now_us - facts.started_us) / 1_000_000),
    ];
    let memory = vec![
        format!("maxmemory:{}", facts.max_memory),
        format!("maxmemory_policy:{}", facts.eviction_policy),
    ];
    let role = match facts.role {
        Role::Master => "role:master",
        Role::Replica => "role:slave",
    };
    let replication = vec![
        role.to_owned(),
        "connected_slaves:0".to_owned(),
        format!("master_replid:{}", facts.replication_id),
        format!("master_replid2:{}", facts.second_replication_id),
    ];
    let cluster = vec![format!("cluster_enabled:{}", u8::from(facts.mode == Mode::Cluster))];
    [
        ("Server", server),
        ("Memory", memory),
        ("Replication", replication),
        ("Cluster", cluster),
        ("Keyspace", keyspace(view)),
    ]
}

/// A line for every database that holds a key. What has expired does not count, noticed or not.
fn keyspace(view: &View<'_>) -> Vec<String> {
    let now_ms = view.now_ms();
    let line = |db| {
        let keys = view.keyspace.keys(db, now_ms).count();
        let deadlines = view.keyspace.entries(db, now_ms).filter_map(|(_, entry)| entry.expires_at);
        let left: Vec<i64> = deadlines.map(|at| at - now_ms).collect();
        let expires = left.len();
        let average = left.iter().sum::<i64>().checked_div(expires as i64).unwrap_or_default();
        (keys > 0).then(|| format!("db{db}:keys={keys},expires={expires},avg_ttl={average}"))
    };
    (0..DATABASES).filter_map(line).collect()
}

//! Commands that touch neither keys nor the connection: PING, ECHO, TIME, INFO, SELECT, COMMAND.

use super::Command;
use crate::embedded::reply::Reply;
use crate::embedded::server::Server;
use crate::embedded::session::Session;
use crate::embedded::view::{Args, Facts, Outcome, View};

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
    let sections = sections(view.facts, view.now_us);
    let wanted: Vec<String> = sections
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, lines)| format!("# {name}\r\n{}\r\n", lines.join("\r\n")))
        .collect();
    Ok(Reply::bulk(wanted.join("\r\n")))
}

fn sections(facts: &Facts, now_us: i64) -> [(&'static str, Vec<String>); 4] {
    let own = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect();
    let server = vec![
        format!("redis_version:{VERSION}"),
        "redis_mode:standalone".to_owned(),
        format!("run_id:{}", facts.run_id),
        format!("tcp_port:{}", facts.port),
        format!("server_time_usec:{now_us}"),
        format!("uptime_in_seconds:{}", (now_us - facts.started_us) / 1_000_000),
    ];
    [
        ("Server", server),
        ("Memory", own(&["maxmemory:0", "maxmemory_policy:noeviction"])),
        ("Replication", own(&["role:master", "connected_slaves:0"])),
        ("Cluster", own(&["cluster_enabled:0"])),
    ]
}

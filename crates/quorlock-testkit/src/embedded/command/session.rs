//! Commands about the connection itself: HELLO, AUTH, CLIENT, QUIT. Keys are not touched.

use super::server::VERSION;
use super::subcommand_error;
use crate::embedded::facts::{Facts, Role};
use crate::embedded::reply::{Protocol, Reply};
use crate::embedded::server::Server;
use crate::embedded::session::Session;
use crate::embedded::view::{Args, Outcome, SYNTAX, integer, lossy};

const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";

const NO_RIGHT_TO_KILL: &str =
    "NOPERM this user has no permissions to run the 'client|kill' command";

const NO_RIGHT_TO_TRACKING: &str =
    "NOPERM this user has no permissions to run the 'client|tracking' command";

const NOT_TRACKING: &str = "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
     OPTOUT mode enabled";

const NOT_OPTOUT: &str =
    "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";

pub(crate) fn auth(server: &mut Server, session: &mut Session, args: &Args) -> Outcome {
    match &args[1..] {
        [_] if server.password().is_none() => {
            Err("ERR AUTH <password> called without any password \
             configured for the default user. Are you sure your configuration is correct?"
                .to_owned())
        }
        [password] => log_in(server, session, b"default", password).map(|()| Reply::ok()),
        [user, password] => log_in(server, session, user, password).map(|()| Reply::ok()),
        _ => Err(SYNTAX.to_owned()),
    }
}

/// Without a configured password, the default user takes any.
fn log_in(
    server: &Server,
    session: &mut Session,
    user: &[u8],
    password: &[u8],
) -> Result<(), String> {
    let fits = server.password().is_none_or(|expected| expected.as_bytes() == password);
    if user != b"default" || !fits {
        return Err(WRONG_PASSWORD.to_owned());
    }
    session.authenticated = true;
    Ok(())
}

pub(crate) fn hello(server: &mut Server, session: &mut Session, args: &Args) -> Outcome {
    let protocol = match args.get(1) {
        None => session.protocol,
        Some(version) => match integer(version) {
            Ok(2) => Protocol::Resp2,
            Ok(3) => Protocol::Resp3,
            Ok(_) => return Err("NOPROTO unsupported protocol version".to_owned()),
            Err(_) => {
                return Err("ERR Protocol version is not an integer or out of range".to_owned());
            }
        },
    };
    let name = hello_options(server, session, args.get(2..).unwrap_or_default())?;
    if !session.authenticated {
        return Err(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise \
             the HELLO AUTH <user> <pass> option can be used to authenticate the client and select \
             the RESP protocol version at the same time"
                .to_owned(),
        );
    }
    session.protocol = protocol;
    if let Some(name) = name {
        session.name = name;
    }
    Ok(greeting(&server.facts, session))
}

/// Logs in at once; gives the name that is to be set if everything else is right.
fn hello_options(
    server: &Server,
    session: &mut Session,
    mut options: &Args,
) -> Result<Option<Vec<u8>>, String> {
    let mut name = None;
    loop {
        options = match options {
            [] => return Ok(name),
            [word, user, password, rest @ ..] if word.eq_ignore_ascii_case(b"AUTH") => {
                log_in(server, session, user, password)?;
                rest
            }
            [word, new, rest @ ..] if word.eq_ignore_ascii_case(b"SETNAME") => {
                check_name(new)?;
                name = Some(new.clone());
                rest
            }
            [word, ..] => {
                return Err(format!("ERR Syntax error in HELLO option '{}'", lossy(word)));
            }
        };
    }
}

fn greeting(facts: &Facts, session: &Session) -> Reply {
    let role = match facts.role {
        Role::Master => "master",
        Role::Replica => "replica",
    };
    let fact = |name: &str, value| (name.to_owned(), value);
    Reply::Map(vec![
        fact("server", Reply::bulk("redis")),
        fact("version", Reply::bulk(VERSION)),
        fact("proto", Reply::Int(session.protocol.number())),
        fact("id", Reply::Int(session.id)),
        fact("mode", Reply::bulk(facts.mode.name())),
        fact("role", Reply::bulk(role)),
        fact("modules", Reply::Array(Vec::new())),
    ])
}

pub(crate) fn client(server: &mut Server, session: &mut Session, args: &Args) -> Outcome {
    match (args[1].to_ascii_uppercase().as_slice(), &args[2..]) {
        (b"ID", []) => Ok(Reply::Int(session.id)),
        (b"GETNAME", []) if session.name.is_empty() => Ok(Reply::Nil),
        (b"GETNAME", []) => Ok(Reply::Bulk(session.name.clone())),
        (b"SETNAME", [name]) => {
            check_name(name)?;
            session.name.clone_from(name);
            Ok(Reply::ok())
        }
        // Younger than the version imitated, but every driver sends it.
        (b"SETINFO", [_, _]) => Ok(Reply::ok()),
        (b"TRACKING" | b"CACHING", _) if server.knows_resp2_only => subcommand_error(args),
        (b"TRACKING", _) if server.refuses_tracking => Err(NO_RIGHT_TO_TRACKING.to_owned()),
        (b"TRACKING", [how, options @ ..]) => tracking(session, how, options),
        (b"CACHING", [how]) => caching(session, how),
        (b"LIST", []) => Ok(Reply::Verbatim(server.list_clients(session))),
        (b"KILL", _) if server.refuses_kill => Err(NO_RIGHT_TO_KILL.to_owned()),
        (b"KILL", [_]) => Err("ERR No such client".to_owned()),
        (b"KILL", [filter, id]) if filter.eq_ignore_ascii_case(b"ID") => kill(server, session, id),
        (b"KILL", _) => Err(SYNTAX.to_owned()),
        _ => {
            session.tracking.cache_no_more();
            subcommand_error(args)
        }
    }
}

/// In RESP2 too, as the server does, although nothing can be told there. Of the options only the one that a lock uses.
fn tracking(session: &mut Session, how: &[u8], options: &Args) -> Outcome {
    let is_known = |option: &Vec<u8>| option.eq_ignore_ascii_case(b"OPTIN");
    match how.to_ascii_uppercase().as_slice() {
        _ if !options.iter().all(is_known) => return Err(SYNTAX.to_owned()),
        b"ON" if options.is_empty() => {
            return Err("ERR this node tracks only what is asked for: OPTIN".to_owned());
        }
        b"ON" => session.tracking.turn_on(),
        b"OFF" => session.tracking.turn_off(),
        _ => return Err(SYNTAX.to_owned()),
    }
    Ok(Reply::ok())
}

fn caching(session: &mut Session, how: &[u8]) -> Outcome {
    if !session.tracking.is_on() {
        return Err(NOT_TRACKING.to_owned());
    }
    match how.to_ascii_uppercase().as_slice() {
        b"YES" => session.tracking.cache_next(),
        b"NO" => return Err(NOT_OPTOUT.to_owned()),
        _ => return Err(SYNTAX.to_owned()),
    }
    Ok(Reply::ok())
}

/// Never the connection that asks, as the server does by default.
fn kill(server: &mut Server, session: &Session, id: &[u8]) -> Outcome {
    let id = integer(id).ok().filter(|id| *id > 0);
    let id = id.ok_or("ERR client-id should be greater than 0")?;
    Ok(Reply::Int(i64::from(id != session.id && server.kill(id))))
}

fn check_name(name: &[u8]) -> Result<(), String> {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Ok(());
    }
    Err("ERR Client names cannot contain spaces, newlines or special characters.".to_owned())
}

pub(crate) fn quit(_: &mut Server, session: &mut Session, _: &Args) -> Outcome {
    session.leaving = true;
    Ok(Reply::ok())
}

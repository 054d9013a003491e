//! Commands about the connection itself: HELLO, AUTH, CLIENT, QUIT. Keys are not touched.

use super::server::VERSION;
use super::subcommand_error;
use crate::embedded::reply::{Protocol, Reply};
use crate::embedded::server::Server;
use crate::embedded::session::Session;
use crate::embedded::view::{Args, Outcome, SYNTAX, integer, lossy};

const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";

const NO_RIGHT_TO_KILL: &str =
    "NOPERM this user has no permissions to run the 'client|kill' command";

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
    Ok(greeting(session))
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

fn greeting(session: &Session) -> Reply {
    let fact = |name: &str, value| (name.to_owned(), value);
    Reply::Map(vec![
        fact("server", Reply::bulk("redis")),
        fact("version", Reply::bulk(VERSION)),
        fact("proto", Reply::Int(session.protocol.number())),
        fact("id", Reply::Int(session.id)),
        fact("mode", Reply::bulk("standalone")),
        fact("role", Reply::bulk("master")),
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
        (b"LIST", []) => Ok(Reply::bulk(server.list_clients(session))),
        (b"KILL", _) if server.refuses_kill => Err(NO_RIGHT_TO_KILL.to_owned()),
        (b"KILL", [_]) => Err("ERR No such client".to_owned()),
        (b"KILL", [filter, id]) if filter.eq_ignore_ascii_case(b"ID") => kill(server, session, id),
        (b"KILL", _) => Err(SYNTAX.to_owned()),
        _ => subcommand_error(args),
    }
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

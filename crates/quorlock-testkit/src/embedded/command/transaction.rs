//! Commands that run later, all at once: MULTI, EXEC, DISCARD. There is no WATCH.

use super::Command;
use crate::embedded::reply::Reply;
use crate::embedded::server::Server;
use crate::embedded::session::Session;
use crate::embedded::view::{Args, Outcome};

/// What a client has said since MULTI.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transaction {
    commands: Vec<Vec<Vec<u8>>>,
    /// One of them was refused when it came: then none is run.
    is_spoiled: bool,
}

impl Transaction {
    /// Keeps a command for later, or says why not. `None` for those that are run at once.
    pub(crate) fn queue(
        &mut self,
        command: &Result<&Command, String>,
        args: &Args,
    ) -> Option<Outcome> {
        match command {
            Ok(command) if ["multi", "exec", "discard", "quit"].contains(&command.name) => None,
            Ok(_) => {
                self.commands.push(args.to_vec());
                Some(Ok(Reply::Status("QUEUED".to_owned())))
            }
            Err(error) => {
                self.is_spoiled = true;
                Some(Err(error.clone()))
            }
        }
    }
}

pub(super) fn multi(_: &mut Server, session: &mut Session, _: &Args) -> Outcome {
    if session.transaction.is_some() {
        return Err("ERR MULTI calls can not be nested".to_owned());
    }
    session.transaction = Some(Transaction::default());
    Ok(Reply::ok())
}

pub(super) fn exec(server: &mut Server, session: &mut Session, _: &Args) -> Outcome {
    let Some(transaction) = session.transaction.take() else {
        return Err("ERR EXEC without MULTI".to_owned());
    };
    if transaction.is_spoiled {
        return Err("EXECABORT Transaction discarded because of previous errors.".to_owned());
    }
    let replies = transaction.commands.iter().map(|args| server.execute(session, args));
    Ok(Reply::Array(replies.collect()))
}

pub(super) fn discard(_: &mut Server, session: &mut Session, _: &Args) -> Outcome {
    match session.transaction.take() {
        Some(_) => Ok(Reply::ok()),
        None => Err("ERR DISCARD without MULTI".to_owned()),
    }
}

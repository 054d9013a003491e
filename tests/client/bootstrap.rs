//! Makes brand-new nodes vote, for programs that start no nodes themselves. Takes no lock.

use crate::console::say;
use crate::options::Options;

pub(crate) async fn run(options: &Options) {
    match bootstrap(options).await {
        Ok(()) => say("done"),
        Err(error) => say(format_args!("error {error:?}")),
    }
}

async fn bootstrap(options: &Options) -> Result<(), quorlock::Error> {
    options.redlock()?.bootstrap().await
}

//! Finding an image to run nodes from. Running them does not live here.

use std::time::Duration;

use super::engine;
use crate::error::Error;

const PUBLIC: &str = "redis:8";
/// What `docker/node-image` makes.
const LOCAL: &str = "quorlock-node:local";

const ENGINE_ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const PULL_WITHIN: Duration = Duration::from_secs(20);

/// An image that is here now: `QUORLOCK_REDIS_IMAGE`, else the public one, else the one that
/// `docker/node-image` makes, else the public one pulled. Else the reason why there is none, and
/// what to do about it.
pub(crate) async fn find() -> Result<String, String> {
    engine_answers().await?;
    if let Some(image) =
        std::env::var("QUORLOCK_REDIS_IMAGE").ok().filter(|image| !image.is_empty())
    {
        if !is_here(&image).await {
            pull(&image)
                .await
                .map_err(|why| format!("no image: QUORLOCK_REDIS_IMAGE={image}: {why}"))?;
        }
        return Ok(image);
    }
    for image in [PUBLIC, LOCAL] {
        if is_here(image).await {
            return Ok(image.to_owned());
        }
    }
    match pull(PUBLIC).await {
        Ok(()) => Ok(PUBLIC.to_owned()),
        Err(why) => Err(format!(
            "no image: QUORLOCK_REDIS_IMAGE is not set, {PUBLIC} is not here and {why}; docker/node-image makes {LOCAL}"
        )),
    }
}

async fn engine_answers() -> Result<(), String> {
    let question = ["version", "--format", "{{.Server.Version}}"];
    match engine::run_within(&question, ENGINE_ANSWERS_WITHIN).await {
        Ok(_) => Ok(()),
        Err(Error::Io { .. }) => Err("no docker command on PATH".to_owned()),
        Err(Error::Engine { output, .. }) => {
            Err(format!("no engine answers: {}", last_line(&output)))
        }
        Err(error) => Err(error.to_string()),
    }
}

async fn is_here(image: &str) -> bool {
    engine::run(&["image", "inspect", "--format", "{{.Id}}", image]).await.is_ok()
}

async fn pull(image: &str) -> Result<(), String> {
    match engine::run_within(&["pull", "--quiet", image], PULL_WITHIN).await {
        Ok(_) => Ok(()),
        Err(Error::Engine { output, .. }) => {
            Err(format!("cannot be pulled ({})", last_line(&output)))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn last_line(output: &str) -> &str {
    output.lines().last().unwrap_or("it said nothing")
}

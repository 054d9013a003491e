//! The command `lock-lab`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use lock_lab::hazard::{self, HAZARDS, Hazard};
use lock_lab::race::Race;
use lock_lab::recipe::{self, About, RECIPES};
use lock_lab::{html, matrix};

/// Every old recipe for a Redis lock, played on real servers against what breaks it.
///
/// QUORLOCK_BACKEND=auto|containers|processes|embedded chooses what the servers are.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    what: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Lists the recipes and the hazards
    List,
    /// Plays every hazard on every recipe: up to a minute
    Matrix {
        /// Also writes a page with the time line of each cell
        #[arg(long)]
        html: Option<PathBuf>,
    },
    /// Plays one hazard on one recipe, line by line
    Show {
        /// The number or the name of a recipe
        #[arg(value_parser = recipe_of)]
        recipe: &'static About,
        /// The name of a hazard
        #[arg(value_parser = hazard_of)]
        hazard: Named,
    },
    /// Has clients hammer one recipe, watched by an oracle
    Race {
        /// The number or the name of a recipe
        #[arg(value_parser = recipe_of)]
        recipe: &'static About,
        /// How many clients
        #[arg(long, default_value_t = 8)]
        clients: usize,
        /// For how many seconds
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        /// How many milliseconds each holder works
        #[arg(long, default_value_t = 1)]
        hold_ms: u64,
        /// For how many seconds the lock is asked for
        #[arg(long, default_value_t = 10)]
        ttl: u64,
    },
}

/// A hazard, as an argument.
#[derive(Clone, Copy)]
struct Named(&'static dyn Hazard);

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

fn recipe_of(word: &str) -> Result<&'static About, String> {
    recipe::named(word)
        .ok_or_else(|| "no recipe has that number or name: `lock-lab list`".to_owned())
}

fn hazard_of(word: &str) -> Result<Named, String> {
    hazard::named(word)
        .map(Named)
        .ok_or_else(|| "no hazard has that name: `lock-lab list`".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse().what).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lock-lab: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(task: Task) -> Result<(), Box<dyn std::error::Error>> {
    match task {
        Task::List => list(),
        Task::Matrix { html } => {
            let cells = matrix::play_all().await?;
            print!("{}", matrix::table(&cells));
            if let Some(path) = html {
                std::fs::write(&path, html::page(&cells))?;
                println!("\n{} has every story", path.display());
            }
        }
        Task::Show { recipe, hazard: Named(hazard) } => {
            let cell = matrix::play(recipe, hazard).await?;
            println!(
                "recipe {}: {}\nseed: {}\nhazard: {}\n",
                recipe.number,
                recipe.title,
                recipe.seed,
                hazard.title()
            );
            cell.story.iter().for_each(|line| println!("{line}"));
            println!("\n{}", cell.verdict);
        }
        Task::Race { recipe, clients, seconds, hold_ms, ttl } => {
            let race = Race {
                clients,
                length: Duration::try_from_secs_f64(seconds)?,
                hold: Duration::from_millis(hold_ms),
                ttl: Duration::from_secs(ttl),
            };
            println!("recipe {}: {}", recipe.number, recipe.title);
            println!("{}", race.run(recipe).await?);
        }
    }
    Ok(())
}

fn list() {
    println!("recipes");
    for about in &RECIPES {
        println!("{:>4}  {:<16} {}", about.number, about.name, about.title);
    }
    println!("\nhazards");
    for hazard in HAZARDS {
        println!("      {:<18} {}", hazard.name(), hazard.title());
    }
}

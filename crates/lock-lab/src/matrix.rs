//! Every hazard played on every recipe, several at a time. How the outcome is drawn lives in `html`.

use futures::future::try_join_all;
use futures::stream::{self, StreamExt};
use quorlock_testkit::Backend;

use crate::error::Result;
use crate::hazard::{HAZARDS, Hazard};
use crate::recipe::{About, RECIPES, Servers};
use crate::stage::Stage;
use crate::story::Line;
use crate::verdict::Verdict;
use crate::wire::Wire;

/// How many scenes are played at a time: most of them wait.
const AT_A_TIME: usize = 12;

/// One recipe, one hazard, played.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The number of the recipe.
    pub recipe: u8,
    /// The name of the hazard.
    pub hazard: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// What happened.
    pub story: Vec<Line>,
    /// What the servers were. None where nothing was played.
    pub backend: Option<Backend>,
}

/// Plays one hazard on one recipe.
///
/// # Errors
///
/// Where the stage fails; never where the recipe does.
pub async fn play(about: &'static About, hazard: &'static dyn Hazard) -> Result<Cell> {
    let cell = |verdict, story, backend| Cell {
        recipe: about.number,
        hazard: hazard.name(),
        verdict,
        story,
        backend,
    };
    if let Some(excuse) = hazard.excuse(about) {
        return Ok(cell(Verdict::NotApplicable(excuse.to_owned()), Vec::new(), None));
    }
    let stage = Stage::set(about, hazard.needs(about)).await?;
    // The commands of one server are told by those who send them.
    let is_told = stage.about.servers != Servers::Five;
    let watched = if is_told { &[] } else { stage.nodes() };
    let wires = try_join_all(watched.iter().map(Wire::of)).await?;
    let verdict = hazard.play(&stage).await?;
    stage.empty().await?;
    for (node, wire) in watched.iter().zip(wires) {
        let commands = wire.commands(node).await?;
        let nothing = if commands.is_empty() { " nothing" } else { "" };
        stage.story.note(format!("{} was sent{nothing}", node.name()));
        commands.iter().for_each(|command| stage.story.note(format!("  > {command}")));
    }
    Ok(cell(verdict, stage.story.lines(), Some(stage.backend())))
}

/// Plays all of them. Cells come in the order of recipes, then hazards.
///
/// # Errors
///
/// The first that a stage had.
pub async fn play_all() -> Result<Vec<Cell>> {
    let all = RECIPES.iter().flat_map(|about| HAZARDS.iter().map(move |hazard| (about, *hazard)));
    let scenes = all
        .enumerate()
        .map(|(place, (about, hazard))| async move { (place, play(about, hazard).await) });
    // Each begins when any is over, not when the first is.
    let mut played: Vec<_> = stream::iter(scenes).buffer_unordered(AT_A_TIME).collect().await;
    played.sort_by_key(|(place, _)| *place);
    played.into_iter().map(|(_, cell)| cell).collect()
}

/// The matrix as text: a row for each hazard, a column for each recipe.
pub fn table(cells: &[Cell]) -> String {
    const WIDTH: usize = 10;
    let mut text = format!("{:<18}", "");
    for about in &RECIPES {
        text += &format!(" {:>WIDTH$}", about.number);
    }
    text.push('\n');
    for hazard in HAZARDS {
        text += &format!("{:<18}", hazard.name());
        for about in &RECIPES {
            let cell = cells
                .iter()
                .find(|cell| cell.recipe == about.number && cell.hazard == hazard.name());
            text +=
                &format!(" {:>WIDTH$}", cell.map_or_else(String::new, |cell| cell.verdict.word()));
        }
        text.push('\n');
    }
    text
}

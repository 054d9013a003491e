//! Every hazard played on every recipe, several at a time. How the outcome is drawn lives in `html`.

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
    let stage = Stage::set(about, hazard.needs()).await?;
    let wire = match about.servers {
        Servers::Five => Some(Wire::of(stage.node(0)).await?),
        Servers::One | Servers::WithReplica => None,
    };
    let verdict = hazard.play(&stage).await?;
    if let Some(wire) = wire {
        let commands = wire.commands(stage.node(0));
        stage.story.note(format!("what {} was sent:", stage.node(0).name()));
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
    let scenes =
        RECIPES.iter().flat_map(|about| HAZARDS.iter().map(move |hazard| play(about, *hazard)));
    let played: Vec<_> = stream::iter(scenes).buffered(AT_A_TIME).collect().await;
    played.into_iter().collect()
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

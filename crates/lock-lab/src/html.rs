//! The matrix as one page that needs nothing else: each cell that broke with its time line as a picture. What is in it was played by
//! `matrix`.

use std::fmt::Write;

use crate::hazard::HAZARDS;
use crate::matrix::Cell;
use crate::recipe::RECIPES;
use crate::story::{Line, What};
use crate::verdict::Verdict;

const STYLE: &str = include_str!("page.css");
const LANE: usize = 240;
const ROW: usize = 22;
/// Left of the lanes stands what happens to the stage.
const LEFT: usize = 250;
const TOP: usize = 40;
/// Longer words of a line are cut in the picture; the text below has them whole.
const LONGEST: usize = 30;

/// The whole page.
pub fn page(cells: &[Cell]) -> String {
    let mut page = String::from("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    let _ = write!(page, "<title>The lock lab</title><style>{STYLE}</style></head><body>");
    page +=
        "<h1>The lock lab</h1><p>Every recipe (columns) against what can happen to a lock (rows). ";
    page += "Each cell leads to its story.</p>";
    matrix(&mut page, cells);
    recipes(&mut page);
    for cell in cells.iter().filter(|cell| !matches!(cell.verdict, Verdict::NotApplicable(_))) {
        story(&mut page, cell);
    }
    page += "</body></html>\n";
    page
}

fn matrix(page: &mut String, cells: &[Cell]) {
    *page += "<table class=\"matrix\"><thead><tr><th></th>";
    for about in &RECIPES {
        let _ = write!(page, "<th title=\"{}\">{}</th>", escaped(about.title), about.number);
    }
    *page += "</tr></thead><tbody>";
    for hazard in HAZARDS {
        let _ =
            write!(page, "<tr><th title=\"{}\">{}</th>", escaped(hazard.title()), hazard.name());
        for about in &RECIPES {
            let found = cells
                .iter()
                .find(|cell| cell.recipe == about.number && cell.hazard == hazard.name());
            let Some(cell) = found else {
                *page += "<td></td>";
                continue;
            };
            let (class, word) = (class(&cell.verdict), cell.verdict.word());
            let why = escaped(cell.verdict.why());
            let inside = match cell.verdict {
                Verdict::NotApplicable(_) => word,
                _ => format!("<a href=\"#{}\">{word}</a>", anchor(cell)),
            };
            let _ = write!(page, "<td class=\"{class}\" title=\"{why}\">{inside}</td>");
        }
        *page += "</tr>";
    }
    *page += "</tbody></table>";
}

fn recipes(page: &mut String) {
    *page += "<table class=\"recipes\"><thead><tr><th>recipe</th><th></th><th>seed</th></tr></thead><tbody>";
    for about in &RECIPES {
        let (number, title, seed) = (about.number, escaped(about.title), escaped(about.seed));
        let _ = write!(page, "<tr><td>{number}</td><td>{title}</td><td>{seed}</td></tr>");
    }
    *page += "</tbody></table>";
}

fn story(page: &mut String, cell: &Cell) {
    let about = RECIPES.iter().find(|about| about.number == cell.recipe);
    let title = about.map_or("", |about| about.title);
    let what = HAZARDS
        .iter()
        .find(|hazard| hazard.name() == cell.hazard)
        .map_or("", |hazard| hazard.title());
    let _ = write!(
        page,
        "<section id=\"{}\"><h2>{}. {}: {}</h2><p class=\"{}\">{}</p>",
        anchor(cell),
        cell.recipe,
        escaped(title),
        escaped(what),
        class(&cell.verdict),
        escaped(&cell.verdict.to_string()),
    );
    if let Some(backend) = cell.backend {
        let _ = write!(page, "<p class=\"on\">played on {backend}</p>");
    }
    if cell.verdict.is_bad() {
        picture(page, &cell.story);
    }
    *page += "<details><summary>line by line</summary><pre>";
    for line in &cell.story {
        let _ = writeln!(page, "{}", escaped(&line.to_string()));
    }
    *page += "</pre></details></section>";
}

/// A lane for each client, from top to bottom; a bar as long as it believes that it holds the lock.
fn picture(page: &mut String, lines: &[Line]) {
    let mut lanes: Vec<&str> = Vec::new();
    for line in lines.iter().filter(|line| !line.who.is_empty()) {
        if !lanes.contains(&line.who.as_str()) {
            lanes.push(&line.who);
        }
    }
    let x_of =
        |who: &str| lanes.iter().position(|lane| *lane == who).map(|lane| LEFT + lane * LANE);
    let (width, height) = (LEFT + lanes.len().max(1) * LANE + 60, TOP + lines.len() * ROW + 20);
    let _ = write!(
        page,
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">"
    );
    for who in &lanes {
        let x = x_of(who).unwrap_or(LEFT);
        let _ = write!(page, "<text class=\"who\" x=\"{x}\" y=\"20\">{}</text>", escaped(who));
        let _ =
            write!(page, "<line class=\"lane\" x1=\"{x}\" y1=\"28\" x2=\"{x}\" y2=\"{height}\"/>");
        for (from, to) in held(lines, who) {
            let (y, long) = (TOP + from * ROW, (to - from) * ROW);
            let _ = write!(
                page,
                "<rect class=\"held\" x=\"{}\" y=\"{y}\" width=\"8\" height=\"{long}\"/>",
                x - 4
            );
        }
    }
    for (row, line) in lines.iter().enumerate() {
        let y = TOP + row * ROW;
        let text = escaped(&cut(&line.what.to_string()));
        let _ = match x_of(&line.who) {
            Some(x) => write!(
                page,
                "<circle class=\"{0}\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/><text class=\"{0}\" x=\"{1}\" y=\"{2}\">{text}</text>",
                mark(&line.what),
                x + 10,
                y + 4
            ),
            None => write!(page, "<text class=\"note\" x=\"4\" y=\"{}\">{text}</text>", y + 4),
        };
    }
    *page += "</svg>";
}

/// From which line to which a client believes that it holds the lock.
fn held(lines: &[Line], who: &str) -> Vec<(usize, usize)> {
    let mut bars = Vec::new();
    let mut since = None;
    for (row, line) in lines.iter().enumerate().filter(|(_, line)| line.who == who) {
        match line.what {
            What::Holds => since = Some(row),
            What::Leaves | What::Dies => bars.extend(since.take().map(|from| (from, row))),
            _ => {}
        }
    }
    bars.extend(since.map(|from| (from, lines.len())));
    bars
}

fn mark(what: &What) -> &'static str {
    match what {
        What::Holds => "holds",
        What::Denied(_) => "denied",
        What::Wrote { accepted: true, .. } => "wrote",
        What::Wrote { .. } => "refused",
        What::Dies | What::Stalls => "stopped",
        _ => "step",
    }
}

fn class(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Safe(_) => "safe",
        Verdict::StoreKept(_) => "kept",
        Verdict::Unsafe(_) => "unsafe",
        Verdict::Blocked(_) | Verdict::NoRest(_) => "blocked",
        Verdict::Counted(..) => "counted",
        Verdict::NotApplicable(_) => "na",
    }
}

fn anchor(cell: &Cell) -> String {
    format!("{}-{}", cell.recipe, cell.hazard)
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(who: &str, what: What) -> Line {
        Line { who: who.to_owned(), what }
    }

    #[test]
    fn a_bar_is_as_long_as_the_belief() {
        let lines = [
            line("A", What::Holds),
            line("B", What::Denied(String::new())),
            line("A", What::Leaves),
            line("B", What::Holds),
            line("", What::Note("time passes".to_owned())),
        ];
        assert_eq!(held(&lines, "A"), [(0, 2)]);
        assert_eq!(held(&lines, "B"), [(3, 5)]);
        assert_eq!(held(&lines, "C"), []);
    }

    #[test]
    fn what_servers_say_is_text_and_nothing_else() {
        let cell = Cell {
            recipe: 1,
            hazard: "crash",
            verdict: Verdict::Unsafe("<b>".to_owned()),
            story: vec![line("A", What::Note("\"<script>\" & more".to_owned()))],
            backend: None,
        };
        let page = page(&[cell]);
        assert!(!page.contains("<b>") && !page.contains("<script>"), "{page}");
        assert!(page.contains("&quot;&lt;script&gt;&quot; &amp; more"));
    }
}

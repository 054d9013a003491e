//! One simulation as a picture: a page that needs nothing else, with a lane for each worker and each node. Judges nothing.
//! The same as text is `timeline.rs`.

use std::fmt::{self, Write as _};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::plan::Plan;
use super::record::Note;
use super::run::Outcome;
use super::timeline::{Operation, lanes, millis, operations};
use crate::checker::{self, Hold};

/// Units of the picture; a page scales them to its width.
const WIDTH: f64 = 1400.0;
const NAMES: f64 = 70.0;
const LANE: f64 = 34.0;
const BAR: f64 = 16.0;
const AXIS: f64 = 22.0;
/// Most findings that get a picture of their own.
const CLOSE_UPS: usize = 3;
const MARGIN: Duration = Duration::from_millis(50);

/// A page that shows a simulation.
#[must_use]
pub fn html(plan: &Plan, outcome: &Outcome) -> String {
    let scene = Scene::of(plan, outcome);
    let mut body = String::new();
    let _ = write!(body, "<h1>Seed {}</h1><p><code>{}</code></p>", plan.seed, Text(plan));
    match outcome.findings.len() {
        0 => body.push_str("<p>Nothing was found.</p>"),
        _ => scene.list_findings(&mut body),
    }
    scene.draw_close_ups(&mut body);
    body.push_str("<h2>The whole run</h2>");
    scene.draw(&mut body, Duration::ZERO..=scene.end);
    scene.explain(&mut body);
    let title = format!("<title>simulation of seed {}</title>", plan.seed);
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">{title}<style>{STYLE}</style>{body}</html>\n"
    )
}

/// The moments and something around them.
fn close_up(moments: &[Duration]) -> RangeInclusive<Duration> {
    let from = moments.iter().min().copied().unwrap_or_default();
    let until = moments.iter().max().copied().unwrap_or_default();
    let margin = ((until - from) / 4).max(MARGIN);
    from.saturating_sub(margin)..=until + margin
}

struct Scene<'a> {
    outcome: &'a Outcome,
    workers: Vec<String>,
    /// All lanes: workers, then nodes.
    lanes: Vec<String>,
    operations: Vec<Operation>,
    holds: Vec<Hold>,
    resources: Vec<String>,
    end: Duration,
}

/// A part of the run on its way to a picture.
struct View {
    from: Duration,
    length: Duration,
    height: f64,
}

impl View {
    /// Where a moment is, or the edge behind which it is.
    fn x(&self, at: Duration) -> f64 {
        let share = at.saturating_sub(self.from).as_secs_f64() / self.length.as_secs_f64();
        NAMES + share.min(1.0) * (WIDTH - NAMES)
    }

    fn shows(&self, from: Duration, until: Duration) -> bool {
        until >= self.from && from <= self.from + self.length
    }
}

impl<'a> Scene<'a> {
    fn of(plan: &Plan, outcome: &'a Outcome) -> Self {
        let workers = lanes(plan);
        let nodes = (0..plan.nodes).map(|node| format!("n{node}"));
        let lanes = workers.iter().cloned().chain(nodes).collect();
        let last_note = outcome.notes.iter().map(|note| note.at).max().unwrap_or_default();
        let mut scene = Self {
            outcome,
            workers,
            lanes,
            operations: operations(&outcome.history),
            holds: checker::holds(&outcome.history),
            resources: Vec::new(),
            end: outcome.history.end().max(last_note).max(Duration::from_millis(1)),
        };
        scene.resources = scene.holds.iter().map(|hold| hold.resource.clone()).collect();
        scene.resources.sort();
        scene.resources.dedup();
        scene
    }

    fn list_findings(&self, body: &mut String) {
        body.push_str("<ul class=\"found\">");
        for finding in &self.outcome.findings {
            let _ = write!(body, "<li>{}</li>", Text(finding));
        }
        body.push_str("</ul>");
    }

    /// A finding that an earlier picture shows gets none of its own.
    fn draw_close_ups(&self, body: &mut String) {
        let mut shown: Vec<RangeInclusive<Duration>> = Vec::new();
        for finding in &self.outcome.findings {
            let Some(at) = finding.at() else { continue };
            if shown.len() < CLOSE_UPS && !shown.iter().any(|range| range.contains(&at)) {
                let range = close_up(&finding.moments());
                let _ = write!(body, "<h2>{}</h2>", Text(finding));
                self.draw(body, range.clone());
                shown.push(range);
            }
        }
    }

    fn explain(&self, body: &mut String) {
        body.push_str("<p class=\"legend\">");
        for (number, resource) in self.resources.iter().enumerate() {
            let _ = write!(body, "<b class=\"r{}\"></b> holds {} ", number % 3, Text(resource));
        }
        let _ = write!(body, "{LEGEND}</p>");
    }

    fn draw(&self, body: &mut String, range: RangeInclusive<Duration>) {
        let length = (*range.end() - *range.start()).max(Duration::from_micros(1));
        let height = AXIS + LANE * self.lanes.len() as f64;
        let view = View { from: *range.start(), length, height };
        let _ = write!(body, "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">");
        self.draw_lanes(body, &view);
        draw_axis(body, &view);
        self.operations.iter().for_each(|operation| self.draw_operation(body, &view, operation));
        self.holds.iter().for_each(|hold| self.draw_hold(body, &view, hold));
        self.outcome.notes.iter().for_each(|note| self.draw_note(body, &view, note));
        self.draw_findings(body, &view);
        body.push_str("</svg>");
    }

    fn y(&self, lane: &str) -> Option<f64> {
        let lane = self.lanes.iter().position(|name| name == lane)?;
        Some(AXIS + LANE * lane as f64)
    }

    fn draw_lanes(&self, body: &mut String, view: &View) {
        for (number, name) in self.lanes.iter().enumerate() {
            let y = AXIS + LANE * number as f64;
            let kind = if number < self.workers.len() { "worker" } else { "node" };
            let _ = write!(
                body,
                "<rect class=\"lane {kind}\" x=\"{NAMES}\" y=\"{y}\" width=\"{}\" height=\"{}\"/>\
                 <text x=\"4\" y=\"{}\">{name}</text>",
                WIDTH - NAMES,
                LANE - 2.0,
                y + LANE / 2.0 + 4.0,
            );
        }
        let _ = write!(body, "<text x=\"4\" y=\"14\">{} ms</text>", millis(view.from));
    }

    /// A thin bar below the holds, while it is in flight; a cross where a worker lost its lock or died.
    fn draw_operation(&self, body: &mut String, view: &View, operation: &Operation) {
        let event = &operation.event;
        let until = event.ret.unwrap_or(self.end);
        let Some(y) = self.y(&event.client).filter(|_| view.shows(event.inv, until)) else {
            return;
        };
        let words: Vec<String> = operation.moments().into_iter().map(|(_, words)| words).collect();
        let title = format!(
            "{}: {} ({} to {} ms)",
            event.client,
            words.join(", "),
            millis(event.inv),
            event.ret.map_or_else(|| "?".to_owned(), millis)
        );
        let (x, end) = (view.x(event.inv), view.x(until));
        let y = y + BAR + 6.0;
        let _ = write!(
            body,
            "<rect class=\"{}\" x=\"{x:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"7\"><title>{}</title></rect>",
            operation.class(),
            (end - x).max(3.0),
            Text(title)
        );
    }

    /// A lane has one row for each resource.
    fn draw_hold(&self, body: &mut String, view: &View, hold: &Hold) {
        if !hold.counted() || !view.shows(hold.from, hold.until) {
            return;
        }
        let Some(y) = self.y(&hold.client) else { return };
        let number = self.resources.iter().position(|name| *name == hold.resource);
        let (number, rows) = (number.unwrap_or_default(), self.resources.len().max(1));
        let height = BAR / rows as f64;
        let y = y + 3.0 + height * number as f64;
        let (x, end) = (view.x(hold.from), view.x(hold.until));
        let _ = write!(
            body,
            "<rect class=\"hold r{}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}: {}</title></rect>",
            number % 3,
            (end - x).max(2.0),
            height - 1.0,
            Text(&hold.resource),
            Text(hold),
        );
    }

    /// In the lane of its node; else in those of its client's workers; else at the top.
    fn draw_note(&self, body: &mut String, view: &View, note: &Note) {
        let until = note.at + length(&note.text).unwrap_or_default();
        if !view.shows(note.at, until) {
            return;
        }
        let words = || note.text.split(|c: char| !c.is_ascii_alphanumeric());
        let nodes = self.lanes.iter().skip(self.workers.len());
        let mut lanes: Vec<&String> =
            nodes.filter(|node| words().any(|word| word == *node)).collect();
        if lanes.is_empty() {
            let client = |worker: &str| worker.split('.').next().map(str::to_owned);
            let named =
                |worker: &&String| words().any(|word| client(worker).as_deref() == Some(word));
            lanes = self.workers.iter().filter(named).collect();
        }
        let class = if is_heard(&note.text) { "heard" } else { "fault" };
        let (x, end) = (view.x(note.at), view.x(until));
        let rows: Vec<f64> = lanes.iter().filter_map(|lane| self.y(lane)).collect();
        let rows = if rows.is_empty() { vec![2.0 - LANE / 2.0 + 9.0] } else { rows };
        for y in rows {
            let _ = write!(
                body,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{}\" width=\"{:.1}\" height=\"10\"><title>{} ms: {}</title></rect>",
                y + LANE / 2.0 - 6.0,
                (end - x).max(3.0),
                millis(note.at),
                Text(&note.text)
            );
        }
    }

    fn draw_findings(&self, body: &mut String, view: &View) {
        for finding in &self.outcome.findings {
            let Some(at) = finding.at().filter(|at| view.shows(*at, *at)) else { continue };
            let (x, bottom) = (view.x(at), view.height);
            let _ = write!(
                body,
                "<g class=\"finding\"><line x1=\"{x:.1}\" y1=\"0\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
                 <text x=\"{:.1}\" y=\"13\">!!</text><title>{}</title></g>",
                x + 3.0,
                Text(finding)
            );
        }
    }
}

/// Lines at round times.
fn draw_axis(body: &mut String, view: &View) {
    let steps = [1, 2, 5].into_iter().cycle().zip((0..3 * 12).map(|n| 10_u64.pow(n / 3)));
    let whole = u64::try_from(view.length.as_micros()).unwrap_or(u64::MAX);
    let step = steps.map(|(n, power)| n * power).find(|step| whole / step <= 12).unwrap_or(whole);
    let from = u64::try_from(view.from.as_micros()).unwrap_or(u64::MAX);
    let first = from.next_multiple_of(step);
    for at in (0..=12).map(|n| first + n * step).take_while(|at| *at <= from + whole) {
        let at = Duration::from_micros(at);
        let x = view.x(at);
        let _ = write!(
            body,
            "<line class=\"axis\" x1=\"{x:.1}\" y1=\"{AXIS}\" x2=\"{x:.1}\" y2=\"{}\"/>\
             <text class=\"axis\" x=\"{x:.1}\" y=\"14\">{}</text>",
            view.height,
            millis(at)
        );
    }
}

/// For how long a fault lasts, if its note ends with that: `for 120 ms`.
fn length(note: &str) -> Option<Duration> {
    let (_, length) = note.rsplit_once(" for ")?;
    length.strip_suffix(" ms")?.parse().ok().map(Duration::from_millis)
}

fn is_heard(note: &str) -> bool {
    note.contains(" hears") || note.contains(" repaired ")
}

/// Escaped for a page.
struct Text<T>(T);

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

const LEGEND: &str = "<b class=\"asks\"></b> asks for a lock \
    <b class=\"gives\"></b> gives it back <b class=\"extends\"></b> extends it \
    <b class=\"ends\"></b> lost it, or is dead <b class=\"fault\"></b> a fault \
    <b class=\"heard\"></b> what a client heard. \
    Rest the pointer on anything to read what it is; times are virtual milliseconds.";

const STYLE: &str = "
:root { color-scheme: light dark; --ground: #fff; --ink: #222; --quiet: #8a8a8a; --lane: #f4f4f6;
  --node: #eceff4; --line: #d4d4da; --r0: #3b7dd8; --r1: #2f9e6e; --r2: #9a6bd0; --asks: #9db4d4;
  --gives: #b5b5bd; --extends: #2f9e6e; --bad: #d6322c; --fault: #e08a1e; --heard: #b9a27e; }
@media (prefers-color-scheme: dark) { :root { --ground: #17181b; --ink: #e4e4e8; --quiet: #8d8f98;
  --lane: #202226; --node: #24282f; --line: #3a3d45; --r0: #5b9bf0; --r1: #45bd8a; --r2: #b48ae6;
  --asks: #56709a; --gives: #5a5d66; --bad: #ff6b64; --fault: #f0a640; --heard: #7d6f57; } }
body { background: var(--ground); color: var(--ink); font: 14px/1.5 system-ui, sans-serif; margin: 24px; }
h1 { font-size: 20px; } h2 { font-size: 15px; margin-top: 28px; } code { overflow-wrap: anywhere; }
svg { width: 100%; min-width: 900px; display: block; } text { fill: var(--ink); font-size: 12px; }
text.axis { fill: var(--quiet); text-anchor: middle; font-size: 11px; }
line.axis { stroke: var(--line); stroke-dasharray: 2 3; }
.lane { fill: var(--lane); } .lane.node { fill: var(--node); }
.r0 { fill: var(--r0); background: var(--r0); } .r1 { fill: var(--r1); background: var(--r1); }
.r2 { fill: var(--r2); background: var(--r2); }
.asks { fill: var(--asks); background: var(--asks); } .gives { fill: var(--gives); background: var(--gives); }
.extends { fill: var(--extends); background: var(--extends); } .ends { fill: var(--bad); background: var(--bad); }
.fault { fill: var(--fault); background: var(--fault); } .heard { fill: var(--heard); background: var(--heard); }
.finding line { stroke: var(--bad); stroke-width: 2; } .finding text { fill: var(--bad); font-weight: bold; }
.found { color: var(--bad); } .legend { color: var(--quiet); }
.legend b { display: inline-block; width: 14px; height: 10px; margin: 0 4px 0 14px; }
";

#[cfg(test)]
mod tests {
    use super::super::plan::{Assumptions, Depth};
    use super::*;
    use crate::simulation::run;

    #[test]
    fn every_lane_is_there_and_nothing_from_elsewhere() {
        let plan = Plan::draw(1, Depth::Node, Assumptions::Kept);
        let page = html(&plan, &run(&plan));
        for lane in Scene::of(&plan, &run(&plan)).lanes {
            assert!(page.contains(&format!(">{lane}</text>")), "{lane}");
        }
        for outside in ["http", "src=", "href=", "@import", "NaN"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_fault_lasts_as_long_as_its_note_says() {
        assert_eq!(length("freeze of n3 for 120 ms"), Some(Duration::from_millis(120)));
        assert_eq!(length("freeze of n3"), None);
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(Text("<a & \"b\">").to_string(), "&lt;a &amp; &quot;b&quot;&gt;");
    }
}

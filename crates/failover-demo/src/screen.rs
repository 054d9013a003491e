//! What the person at the terminal sees while the script runs: lines that stay, and below them, on a terminal, the
//! nodes and the workers as they are now. The table at the end lives in `report.rs`.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use crate::{nodes::Conditions, options::Audience, record::Record};

/// How often the picture is drawn anew.
const REDRAW_EVERY: Duration = Duration::from_millis(200);
/// How often a log gets a line about the progress.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// The terminal, or the log.
#[derive(Debug)]
pub(crate) struct Screen {
    canvas: Arc<Canvas>,
    painter: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Canvas {
    style: Style,
    /// How many lines of the picture are on the screen.
    drawn: Mutex<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Picture,
    Lines,
}

impl Screen {
    /// An empty screen.
    pub(crate) fn new(audience: Audience) -> Self {
        let picture = audience == Audience::Terminal && io::stdout().is_terminal();
        let style = if picture { Style::Picture } else { Style::Lines };
        Self { canvas: Arc::new(Canvas { style, drawn: Mutex::new(0) }), painter: None }
    }

    /// Begins to show the progress.
    pub(crate) fn watch(&mut self, record: Record, conditions: Conditions, workers: Vec<String>) {
        let view = View { started: Instant::now(), record, conditions, workers };
        self.painter = Some(tokio::spawn(paint(Arc::clone(&self.canvas), view)));
    }

    /// Prints lines that stay.
    pub(crate) fn say(&self, text: &str) {
        self.canvas.draw(text, "");
    }

    /// Takes the picture away; the lines stay.
    pub(crate) fn clear(&mut self) {
        if let Some(painter) = self.painter.take() {
            painter.abort();
        }
        self.canvas.draw("", "");
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Canvas {
    /// Takes the old picture away, prints what stays, and draws the new picture. One write: nothing flickers.
    fn draw(&self, stays: &str, picture: &str) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        if *drawn > 0 {
            // Up to the picture's first line, then clear from there.
            write!(text, "\x1b[{drawn}F\x1b[J").expect("a string takes everything");
        }
        for line in stays.lines().chain(picture.lines()) {
            text.push_str(line);
            text.push('\n');
        }
        *drawn = picture.lines().count();
        let mut out = io::stdout().lock();
        // A reader that has gone away is no reason to stop the demo half way.
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
    }
}

/// What the picture shows.
struct View {
    started: Instant,
    record: Record,
    conditions: Conditions,
    workers: Vec<String>,
}

async fn paint(canvas: Arc<Canvas>, view: View) {
    let every = match canvas.style {
        Style::Picture => REDRAW_EVERY,
        Style::Lines => REPORT_EVERY,
    };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        match canvas.style {
            Style::Picture => canvas.draw("", &view.picture()),
            Style::Lines => canvas.draw(&view.line(), ""),
        }
    }
}

impl View {
    fn picture(&self) -> String {
        let mut picture = String::from("\n");
        for (index, condition) in self.conditions.get().into_iter().enumerate() {
            // A string takes everything: the results of these writes are always fine.
            writeln!(picture, "  node-{index}    {condition}").ok();
        }
        let statuses = self.record.statuses();
        for name in &self.workers {
            let status = statuses.get(name).copied().unwrap_or_default();
            let does = match status.holds_since {
                _ if status.ended => "ended",
                Some(_) => "HOLDS",
                None => "waits",
            };
            writeln!(picture, "  {name:<9} {does}  {:>6} times", status.acquisitions).ok();
        }
        picture
    }

    fn line(&self) -> String {
        let conditions: Vec<String> =
            self.conditions.get().iter().map(ToString::to_string).collect();
        let (elapsed, held) = (self.started.elapsed().as_secs_f64(), self.record.acquisitions());
        format!("  {elapsed:>5.1} s  {held:>6} acquisitions  nodes: {}", conditions.join(" "))
    }
}

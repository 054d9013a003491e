//! Plots as SVG, drawn by hand: a row for every contender, a dot at the median, a line from the least to the most. The axis is
//! logarithmic where the values are far apart. Colours come from the page's style.

use std::fmt::Write;

use super::figure::{label, number};
use super::html::escaped;
use super::summary::Summary;
use crate::stats::Spread;

const WIDTH: f64 = 760.0;
/// Names of contenders stand left of the plot, values right of it.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 90.0;
const ROW: f64 = 20.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 10.0;
/// Further apart than this, the smaller of two values on a plain axis could not be told from zero.
const FAR_APART: f64 = 20.0;

/// One figure of the contenders of one case, or of several; nothing where nobody has it.
pub(crate) fn plot(cases: &[&[Summary]], figure: &str) -> String {
    let rows: Vec<_> = cases.iter().flat_map(|case| case.iter()).collect();
    let spreads: Vec<Spread> =
        rows.iter().filter_map(|row| row.figures.get(figure)).copied().collect();
    let Some(axis) = Axis::of(&spreads) else { return String::new() };
    let height = TOP + BOTTOM + ROW * (rows.len() + cases.len()) as f64;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{name}\"><text class=\"axis\" x=\"{LEFT}\" y=\"12\">{name}{scale}</text>",
        name = escaped(&label(figure)),
        scale = if axis.logarithmic { " (logarithmic)" } else { "" },
    );
    ticks(&mut svg, &axis, height);
    let mut y = TOP;
    for case in cases {
        let Some(first) = case.first() else { continue };
        y += ROW;
        let _ = write!(
            svg,
            "<text class=\"case\" x=\"0\" y=\"{:.1}\">{}</text>",
            y - 6.0,
            escaped(&first.case)
        );
        for row in *case {
            dot(&mut svg, &axis, row, figure, y);
            y += ROW;
        }
    }
    svg += "</svg>";
    svg
}

fn ticks(svg: &mut String, axis: &Axis, height: f64) {
    for value in axis.ticks() {
        let x = axis.x(value);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{height:.1}\"/><text class=\"tick\" x=\"{x:.1}\" y=\"28\">{}</text>",
            number(value)
        );
    }
}

fn dot(svg: &mut String, axis: &Axis, row: &Summary, figure: &str, y: f64) {
    let name = row.contender.to_string();
    let (middle, base) = (y + ROW / 2.0, y + ROW / 2.0 + 4.0);
    let _ =
        write!(svg, "<text class=\"name\" x=\"{:.1}\" y=\"{base:.1}\">{name}</text>", LEFT - 10.0);
    let Some(spread) = row.figures.get(figure) else {
        let why = row.failed.first().map_or("-", |why| why.as_str());
        let short: String = why.chars().take(70).collect();
        let _ = write!(
            svg,
            "<text class=\"failed\" x=\"{LEFT}\" y=\"{base:.1}\">{}</text>",
            escaped(&short)
        );
        return;
    };
    let (from, at, to) = (axis.x(spread.min), axis.x(spread.median), axis.x(spread.max));
    let _ = write!(
        svg,
        "<g class=\"{name}\"><line class=\"range\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/><circle cx=\"{at:.1}\" cy=\"{middle:.1}\" r=\"4.5\"><title>{}</title></circle></g><text class=\"value\" x=\"{:.1}\" y=\"{base:.1}\">{}</text>",
        escaped(&super::table::cell(row, figure)),
        WIDTH - RIGHT + 12.0,
        number(spread.median)
    );
}

/// From values to places.
struct Axis {
    logarithmic: bool,
    from: f64,
    to: f64,
    /// Between two ticks of a plain axis.
    step: f64,
}

impl Axis {
    fn of(spreads: &[Spread]) -> Option<Self> {
        let least = spreads.iter().map(|spread| spread.min).min_by(f64::total_cmp)?;
        let most = spreads.iter().map(|spread| spread.max).max_by(f64::total_cmp)?;
        let step = step(most);
        let logarithmic = least > 0.0 && most / least > FAR_APART;
        Some(match logarithmic {
            true => Self {
                logarithmic,
                from: 10_f64.powf(least.log10().floor()),
                to: 10_f64.powf(most.log10().ceil()),
                step,
            },
            false => {
                Self { logarithmic, from: 0.0, to: step * (most / step).ceil().max(1.0), step }
            }
        })
    }

    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let decades = std::iter::successors(Some(self.from), |value| Some(value * 10.0));
            return decades.take_while(|value| *value <= self.to * 1.001).collect();
        }
        let all = std::iter::successors(Some(0.0), |value| Some(value + self.step));
        all.take_while(|value| *value <= self.to * 1.001).collect()
    }

    fn x(&self, value: f64) -> f64 {
        let share = match self.logarithmic {
            true => (value / self.from).log10() / (self.to / self.from).log10(),
            false => value / self.to,
        };
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }
}

/// A round number that goes into `most` two to five times.
fn step(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let decade = 10_f64.powf(most.log10().floor());
    match most / decade {
        few if few < 2.0 => decade / 2.0,
        some if some < 5.0 => decade,
        _ => decade * 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(values: &[f64]) -> Axis {
        let spread = |value: &f64| Spread { median: *value, min: *value, max: *value };
        Axis::of(&values.iter().map(spread).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn values_near_one_another_begin_at_zero() {
        let axis = axis(&[70.0, 90.0]);
        assert!(!axis.logarithmic);
        assert_eq!(axis.ticks(), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(axis.x(0.0), LEFT);
        assert_eq!(axis.x(100.0), WIDTH - RIGHT);
    }

    #[test]
    fn values_far_from_one_another_are_told_apart() {
        let axis = axis(&[90.0, 500_000.0]);
        assert!(axis.logarithmic);
        assert_eq!(axis.ticks().len(), 6);
        assert!(axis.x(90.0) < axis.x(900.0) && axis.x(500_000.0) <= WIDTH - RIGHT);
    }

    #[test]
    fn nothing_but_zeros_has_a_place() {
        assert_eq!(axis(&[0.0]).x(0.0), LEFT);
        assert!(Axis::of(&[]).is_none());
    }
}

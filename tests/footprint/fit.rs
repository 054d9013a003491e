//! A straight line through points, and how sure its slope is. Measures nothing.

/// Of the normal distribution: 95 of 100 are within so many standard errors.
const SURE: f64 = 1.96;

/// The line of least squares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) slope: f64,
    /// The slope is within so much of what it is said to be, with a confidence of 95%, if the points err independently.
    pub(crate) error: f64,
}

impl Line {
    /// Through at least three points.
    pub(crate) fn through(points: &[(f64, f64)]) -> Self {
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (middle, level) = (mean(|point| point.0), mean(|point| point.1));
        let spread: f64 = points.iter().map(|(x, _)| (x - middle).powi(2)).sum();
        let product: f64 = points.iter().map(|(x, y)| (x - middle) * (y - level)).sum();
        let slope = product / spread;
        let off = |(x, y): &(f64, f64)| (y - level - slope * (x - middle)).powi(2);
        let rest: f64 = points.iter().map(off).sum();
        Self { slope, error: SURE * (rest / (count - 2.0) / spread).sqrt() }
    }
}

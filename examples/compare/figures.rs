//! Sums over what was measured.

use serde::{Deserialize, Serialize};

/// A median with the least and the most of what it was taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(numbers: &[f64]) -> Self {
        Self {
            median: quantile(numbers.to_vec(), 0.5),
            least: quantile(numbers.to_vec(), 0.0),
            most: quantile(numbers.to_vec(), 1.0),
        }
    }
}

/// The middle one; nothing measured makes zero.
pub(crate) fn median(numbers: Vec<f64>) -> f64 {
    quantile(numbers, 0.5)
}

/// The smallest number that at least this share of all does not exceed; nothing measured makes zero.
pub(crate) fn quantile(mut numbers: Vec<f64>, share: f64) -> f64 {
    if numbers.is_empty() {
        return 0.0;
    }
    numbers.sort_by(f64::total_cmp);
    let last = numbers.len() - 1;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length is an index"
    )]
    let index = (share * numbers.len() as f64).ceil() as usize;
    numbers[index.saturating_sub(1).min(last)]
}

/// The line of least squares through points, as its height at zero and its slope; nothing where x never changes.
pub(crate) fn fit(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let across: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if points.len() < 2 || across <= f64::EPSILON {
        return None;
    }
    let along: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let slope = along / across;
    Some((mean_y - slope * mean_x, slope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_numbers() {
        let numbers: Vec<f64> = (1..=1000).rev().map(f64::from).collect();
        assert_eq!(quantile(numbers.clone(), 0.5), 500.0);
        assert_eq!(quantile(numbers.clone(), 0.999), 999.0);
        assert_eq!(quantile(numbers.clone(), 0.0), 1.0);
        assert_eq!(quantile(numbers, 1.0), 1000.0);
        assert_eq!(median(vec![7.0]), 7.0);
        assert_eq!(median(vec![]), 0.0);
    }

    #[test]
    fn a_fit_finds_the_line_that_points_are_on() {
        let (height, slope) = fit(&[(0.0, 1.0), (1.0, 4.0), (5.0, 16.0)]).expect("a line");
        assert!((height - 1.0).abs() < 1e-9 && (slope - 3.0).abs() < 1e-9, "{height} {slope}");
    }

    #[test]
    fn a_fit_of_too_little_is_nothing() {
        assert_eq!(fit(&[]), None);
        assert_eq!(fit(&[(1.0, 1.0)]), None);
        assert_eq!(fit(&[(1.0, 1.0), (1.0, 2.0)]), None);
    }

    #[test]
    fn a_spread_holds_its_median_between_its_ends() {
        let spread = Spread::of(&[3.0, 1.0, 2.0]);
        assert_eq!(spread, Spread { median: 2.0, least: 1.0, most: 3.0 });
    }
}

//! Sums over what was measured.

/// The middle one; nothing measured makes zero.
pub(crate) fn median(numbers: Vec<f64>) -> f64 {
    quantile(numbers, 0.5)
}

/// The smallest number that at least this share of all does not exceed.
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
    let index = (share * last as f64).ceil() as usize;
    numbers[index.min(last)]
}

//! Writing results, and their median.

use anyhow::Result;
use serde::Serialize;
use std::{fs, path::Path};

/// Writes results as JSON.
///
/// # Errors
/// The file cannot be written.
pub fn write(out: &Path, name: &str, results: &impl Serialize) -> Result<()> {
    let file = out.join(name);
    fs::write(&file, serde_json::to_string_pretty(results)?)?;
    println!("\nwritten: {}", file.display());
    Ok(())
}

/// The median, NaN without values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert!(median(Vec::new()).is_nan());
    }
}

//! Lighthouse scores of a page, from its Node.js program.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// The scores of one page of one server.
#[derive(Debug, Clone, Serialize)]
pub struct LighthouseResult {
    /// Name of the server.
    pub server: &'static str,
    /// Name of the page.
    pub page: &'static str,
    /// The scores per device.
    #[serde(flatten)]
    pub audits: Audits,
}

/// Scores on a slow phone and on a desktop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Audits {
    /// A simulated phone at 1.6 Mbit/s with a quarter of this CPU.
    pub phone: Scores,
    /// The desktop preset of Lighthouse.
    pub desktop: Scores,
}

/// Scores from 0 to 100, and their main metrics.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scores {
    /// Loading and responsiveness.
    pub performance: u32,
    /// Automatic accessibility checks.
    pub accessibility: u32,
    /// Score of "Best practices", 0 to 100.
    pub best_practices: u32,
    /// First contentful paint, in ms.
    pub first_paint_ms: u32,
    /// Largest contentful paint, in ms.
    pub largest_paint_ms: u32,
    /// Total blocking time, in ms.
    pub blocked_ms: u32,
    /// Transferred bytes, with headers.
    pub bytes: u32,
    /// Names of the audits that failed.
    pub failed: Vec<String>,
}

/// Runs Lighthouse on a page.
pub async fn audit(
    server: &'static str,
    page: &'static str,
    port: u16,
    path: &str,
) -> Result<LighthouseResult> {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let which = Command::new("which").arg(&chromium).output().await?;
    let chromium = String::from_utf8(which.stdout)?;
    // A browser needs more than the generator's core.
    let output = Command::new("taskset")
        .args(["--cpu-list", "0-1023", "node"])
        .arg("bench/peers/lighthouse.mjs")
        .arg(format!("http://127.0.0.1:{port}{path}"))
        .arg(chromium.trim())
        .output()
        .await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "lighthouse: {errors}");
    let audits = serde_json::from_slice(&output.stdout).context("the output of lighthouse")?;
    Ok(LighthouseResult {
        server,
        page,
        audits,
    })
}

//! What Lighthouse says of a page, through its own program in Node.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// What is looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Look {
    /// The server.
    pub server: &'static str,
    /// The page.
    pub page: &'static str,
    /// What was found.
    #[serde(flatten)]
    pub found: Found,
}

/// On a slow phone, and on a desktop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Found {
    /// A phone at 1.6 Mbit/s with a quarter of this CPU, as Lighthouse imagines it.
    pub phone: Scores,
    /// A desktop.
    pub desktop: Scores,
}

/// Scores of 0 to 100, and what they are made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scores {
    /// How soon it is there and answers.
    pub performance: u32,
    /// What a machine can check of it.
    pub accessibility: u32,
    /// Whether it is well built.
    pub best_practices: u32,
    /// Until something is seen, in ms.
    pub first_paint_ms: u32,
    /// Until the most is seen, in ms.
    pub largest_paint_ms: u32,
    /// How long it does not answer, in ms.
    pub blocked_ms: u32,
    /// Bytes over the line, headers included.
    pub bytes: u32,
    /// Audits that did not pass.
    pub failed: Vec<String>,
}

/// Looks at a page.
pub async fn look(server: &'static str, page: &'static str, port: u16, path: &str) -> Result<Look> {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let which = Command::new("which").arg(&chromium).output().await?;
    let chromium = String::from_utf8(which.stdout)?;
    // A browser needs more than the one core that the generator was given.
    let output = Command::new("taskset")
        .args(["--cpu-list", "0-1023", "node"])
        .arg("bench/peers/lighthouse.mjs")
        .arg(format!("http://127.0.0.1:{port}{path}"))
        .arg(chromium.trim())
        .output()
        .await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "lighthouse: {errors}");
    let found = serde_json::from_slice(&output.stdout).context("what lighthouse found")?;
    Ok(Look {
        server,
        page,
        found,
    })
}

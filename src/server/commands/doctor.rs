//! `noom doctor`: checks whether people can reach the server, and says what mends it.

use super::{CommandError, health::reachable};
use crate::{
    i18n::Locale,
    server::{
        config::Config,
        doctor::{self, Finding, HEADER, Outcome, Target},
    },
};
use std::{
    fmt::Write as _,
    io::{self, Write},
    time::Duration,
};
use tokio::time::timeout;

/// Time limit of the checks of a running server. 25 s: they take 10 s at most, where the disk and
/// the database answer.
const WITHIN: Duration = Duration::from_secs(25);

/// Checks the server and prints what was found, as lines or as JSON.
///
/// # Errors
/// A check failed, or the output cannot be written.
pub fn run(config: Config, as_json: bool) -> Result<(), CommandError> {
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let found = threads.block_on(find(config));
    threads.shutdown_background();
    let findings = found?;
    let text = match as_json {
        true => serde_json::to_string_pretty(&findings).map_err(io::Error::from)? + "\n",
        false => lines(&findings),
    };
    io::stdout().write_all(text.as_bytes())?;
    let failed = findings
        .iter()
        .filter(|finding| finding.outcome == Outcome::Failed);
    match failed.count() {
        0 => Ok(()),
        count => Err(CommandError::Unhealthy(format!(
            "checks that failed: {count}"
        ))),
    }
}

/// What the server at the metrics address answered.
enum Answer {
    /// What it found about itself.
    Findings(Vec<Finding>),
    /// Another run is under way, or there were too many.
    Busy,
    /// No server of ours answers.
    None,
}

/// What the running server found or, if none answers, what this process finds.
async fn find(config: Config) -> Result<Vec<Finding>, CommandError> {
    match ask(&config).await {
        Answer::Findings(findings) => Ok(findings),
        Answer::None => Ok(doctor::run_alone(config).await.findings(Locale::en)),
        Answer::Busy => {
            let busy = "the server is being checked, or was too often; try again in 5 s";
            Err(CommandError::Unhealthy(busy.to_owned()))
        }
    }
}

/// Asks the server at the metrics address.
async fn ask(config: &Config) -> Answer {
    let url = config
        .metrics_listen
        .map(|listen| format!("http://{}/doctor", reachable(listen)));
    let Some(target) = url.and_then(|url| Target::parse(&url)) else {
        return Answer::None;
    };
    let headers = format!("Connection: close\r\nContent-Length: 0\r\n{HEADER}: command\r\n");
    let answer = timeout(WITHIN, target.ask("POST", &headers, true)).await;
    match answer {
        Ok(Ok(answer)) if answer.status == 429 => Answer::Busy,
        Ok(Ok(answer)) => match serde_json::from_str(&answer.body) {
            Ok(findings) => Answer::Findings(findings),
            Err(_) => Answer::None,
        },
        Ok(Err(_)) | Err(_) => Answer::None,
    }
}

/// The findings as lines: outcome, check and sentence, and below it what mends it.
fn lines(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let outcome = doctor::outcome_name(Locale::en, finding.outcome);
        let check = doctor::check_name(Locale::en, finding.check);
        let sentence = &finding.sentence;
        let _ = writeln!(text, "{outcome:<12} {check}: {sentence}");
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "{:<12} -> {remedy}", "");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::doctor::Diagnosis;

    #[test]
    fn a_finding_is_one_line_and_its_remedy_another() {
        let found = [Diagnosis::ClockRight, Diagnosis::ClockOff(-90)];
        let found = found.map(|found| Finding::new(Locale::en, &found));
        let text = lines(&found);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(
            lines[0].starts_with("well         Clock: The clock agrees"),
            "{text}"
        );
        assert!(lines[1].starts_with("failed       Clock: "), "{text}");
        assert!(lines[1].contains("90 s behind"), "{text}");
        assert!(
            lines[2].starts_with("             -> Set the clock"),
            "{text}"
        );
    }
}

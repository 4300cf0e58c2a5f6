//! Pages: rendered pages per second of CPU time, their latency, and their Lighthouse scores.
//!
//! Noom and Express with Pug render the same content: a form and the list of open rooms; a room with
//! its people and last messages.

mod lighthouse;
mod load;
mod report;

pub use lighthouse::LighthouseResult;
pub use load::PageTimings;

use crate::{
    Arguments,
    chat::ChatUser,
    implementation::{Implementation, RunningServer, start_node},
    results,
    server::Server,
};
use anyhow::Result;
use load::load;
use serde::Serialize;
use std::time::Duration;

/// The requested room.
const ROOM: &str = "bench";
/// Messages in the room: the burst that Noom allows one person.
const MESSAGES: u32 = 40;
/// Name and path of the requested pages.
const PAGES: [(&str, &str); 2] = [("welcome", "/"), ("room", "/room/bench")];
/// Rounds over all servers; the results are medians.
const ROUNDS: usize = 5;

/// The result of one page of one server in one round.
#[derive(Debug, Clone, Serialize)]
pub struct PageResult {
    /// Name of the server.
    pub server: &'static str,
    /// Name of the page.
    pub page: &'static str,
    /// The measured values.
    #[serde(flatten)]
    pub timings: PageTimings,
}

/// The content of the JSON file.
#[derive(Debug, Serialize)]
struct Results {
    rendered: Vec<PageResult>,
    lighthouse: Vec<LighthouseResult>,
}

/// Measures all pages and reports them.
pub async fn run(arguments: &Arguments) -> Result<()> {
    let (rounds, seconds) = if arguments.quick { (1, 1) } else { (ROUNDS, 4) };
    let noom = Implementation::Noom.start(&arguments.noom).await?;
    // A user is in the room while its page is requested.
    let _user = populate(&noom).await?;
    let pug = start_node("pug.mjs").await?;
    let servers = [("noom", &noom.server), ("express + pug", &pug)];
    let mut rendered = Vec::new();
    for _ in 0..rounds {
        for (server, process) in servers {
            for (page, path) in PAGES {
                let timings = load(process, path, Duration::from_secs(seconds)).await?;
                rendered.push(PageResult {
                    server,
                    page,
                    timings,
                });
            }
        }
    }
    report::print_pages(&rendered);
    let lighthouse = audit_all(&servers).await?;
    report::print_lighthouse(&lighthouse);
    let results = Results {
        rendered,
        lighthouse,
    };
    results::write(&arguments.out, "pages.json", &results)
}

/// Fills a room with the content of the Express server's room.
async fn populate(noom: &RunningServer) -> Result<ChatUser> {
    let mut user = ChatUser::join(&noom.server, ROOM).await?;
    for number in 0..MESSAGES {
        let text = format!(
            "Message {number} of a conversation about where to meet, \
             with a link to https://example.org/"
        );
        user.send_chat(&text).await?;
    }
    Ok(user)
}

/// Runs Lighthouse on every page of every server.
async fn audit_all(servers: &[(&'static str, &Server); 2]) -> Result<Vec<LighthouseResult>> {
    let mut results = Vec::new();
    for (server, process) in servers {
        for (page, path) in PAGES {
            results.push(lighthouse::audit(server, page, process.port, path).await?);
        }
    }
    Ok(results)
}

//! Pages: how many a server renders in a second of its CPU time, how late they are, and what
//! Lighthouse says of them.
//!
//! The same content comes from Noom and from Express with Pug: a form and the list of open
//! rooms; a room with its people and its last messages.

mod lighthouse;
mod load;

pub use lighthouse::Look;
pub use load::Figures;

use crate::{
    Arguments,
    chat::ChatUser,
    implementation::{Implementation, RunningServer, start_node},
    report,
    server::Server,
};
use anyhow::Result;
use load::load;
use serde::Serialize;
use std::time::Duration;

/// The room whose page is asked for, and how many messages it shows.
const ROOM: &str = "bench";
/// Messages said in it before: the burst that Noom allows one person.
const MESSAGES: u32 = 40;
/// Pages asked for, by name and path.
const PAGES: [(&str, &str); 2] = [("welcome", "/"), ("room", "/room/bench")];
/// Turns of each server, one after the other: the figures are medians of them.
const TURNS: usize = 5;

/// What one server did with one page, in one turn.
#[derive(Debug, Clone, Serialize)]
pub struct Rendered {
    /// The server.
    pub server: &'static str,
    /// The page.
    pub page: &'static str,
    /// What was measured.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Everything that is written down.
#[derive(Debug, Serialize)]
struct Results {
    rendered: Vec<Rendered>,
    lighthouse: Vec<Look>,
}

/// Measures everything and reports it.
pub async fn run(arguments: &Arguments) -> Result<()> {
    let (turns, seconds) = if arguments.quick { (1, 1) } else { (TURNS, 4) };
    let noom = Implementation::Noom.start(&arguments.noom).await?;
    // Somebody is in the room while its page is asked for.
    let _user = populate(&noom).await?;
    let pug = start_node("pug.mjs").await?;
    let servers = [("noom", &noom.server), ("express + pug", &pug)];
    let mut rendered = Vec::new();
    for _ in 0..turns {
        for (server, process) in servers {
            for (page, path) in PAGES {
                let figures = load(process, path, Duration::from_secs(seconds)).await?;
                rendered.push(Rendered {
                    server,
                    page,
                    figures,
                });
            }
        }
    }
    report::pages(&rendered);
    let lighthouse = look(&servers).await?;
    report::lighthouse(&lighthouse);
    let results = Results {
        rendered,
        lighthouse,
    };
    report::write(&arguments.out, "pages.json", &results)
}

/// Fills a room as the peer's is filled.
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

/// Lighthouse on every page of every server.
async fn look(servers: &[(&'static str, &Server); 2]) -> Result<Vec<Look>> {
    let mut looks = Vec::new();
    for (server, process) in servers {
        for (page, path) in PAGES {
            looks.push(lighthouse::look(server, page, process.port, path).await?);
        }
    }
    Ok(looks)
}

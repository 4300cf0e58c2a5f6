//! Markdown from the wire to the page: the marks of a message, and what the server draws of them.

use super::harness::{TestApp, without_markers};
use crate::protocol::{ClientMessage, Mark, MarkKind};

/// A message with every mark.
const EVERY_MARK: &str = "**bold** _italic_ ~~strike~~ `code` [words](https://ex.example/a)\n\
    > quote\n\n- one\n- two\n\n3. three\n\n```\nlines *of*\n```\n안녕 👋 **끝**";

/// Attacks of the browser tests.
const ATTACKS: &str = include_str!("../../end2end/corpus/xss.json");

/// The elements of the log.
const KNOWN: [&str; 20] = [
    "!",
    "!--",
    "a",
    "bdi",
    "blockquote",
    "button",
    "code",
    "div",
    "em",
    "li",
    "ol",
    "p",
    "path",
    "pre",
    "s",
    "span",
    "strong",
    "svg",
    "time",
    "ul",
];

/// The kinds of marks, without their targets.
fn kinds(marks: &[Mark]) -> Vec<String> {
    let mut kinds: Vec<_> = marks
        .iter()
        .map(|mark| serde_json::to_value(mark).expect("serialises")[2].to_string())
        .collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

#[tokio::test]
async fn a_message_has_the_same_marks_when_sent_joined_edited_and_restarted() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let sent = ann.send_chat(EVERY_MARK).await;
    assert_eq!(sent.words(), EVERY_MARK, "the text is what was typed");
    assert_eq!(kinds(&sent.marks).len(), 11, "{:?}", kinds(&sent.marks));
    let plain = ann.send_chat("hello * there").await;
    assert_eq!(plain.marks, []);
    let raw = serde_json::to_value(&plain).expect("serialises");
    assert!(raw.get("marks").is_none(), "no field without marks");
    let ben = app.join("team", "Ben").await;
    assert_eq!(ben.joined().history, [sent.clone(), plain.clone()]);

    let (id, text) = (plain.id, "hello *there*".to_owned());
    ann.send(&ClientMessage::Edit { id, text }).await;
    let edited = ann.wait_for_changed().await;
    let italic = |mark: &&Mark| mark.kind == MarkKind::Italic;
    let found = edited.marks.iter().find(italic).expect("is marked");
    assert_eq!((found.start, found.end), (6, 13));
    ann.send(&ClientMessage::Delete { id }).await;
    assert_eq!(ann.wait_for_changed().await.marks, []);

    let app = app.restart().await;
    let cleo = app.join("team", "Cleo").await;
    assert_eq!(cleo.joined().history[0], sent);
}

#[tokio::test]
async fn the_page_of_the_server_draws_each_mark() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    ann.send_chat(EVERY_MARK).await;
    for path in ["/room/team", "/room/team?plain=1", "/room/team?at=1"] {
        let page = without_markers(&app.get(path).await);
        for element in [
            "<strong>bold</strong>",
            "<em>italic</em>",
            "<s>strike</s>",
            "<code translate=\"no\">code</code>",
            ">words</a>(",
            ">quote</blockquote>",
            ">one</li>",
            "<ol start=\"3\">",
            "<code>lines *of*</code></pre>",
            "<strong>끝</strong>",
            "rel=\"noopener noreferrer nofollow ugc\"",
        ] {
            assert!(page.contains(element), "{element} in {page}");
        }
    }
    let results = without_markers(&app.get("/room/team?q=strike").await);
    assert!(
        results.contains("bold italic strike code words(https"),
        "{results}"
    );
}

#[tokio::test]
async fn attacks_within_markdown_are_text_on_the_page_of_the_server() {
    let app = TestApp::start().await;
    let attacks: Vec<String> = serde_json::from_str(ATTACKS).expect("a list of texts");
    let mut sent = Vec::new();
    for (number, attack) in attacks.iter().enumerate() {
        let mut mallory = app.join("team", &format!("Mallory {number}")).await;
        for text in [
            format!("[words]({attack})"),
            format!("![{attack}](http://ex.example)"),
            format!("**{attack}** `{attack}`"),
            format!("> - {attack}\n\n```{attack}\n{attack}\n```"),
        ] {
            sent.push(mallory.send_chat(&text).await);
        }
        mallory.close(Some(1000)).await;
        if number % 10 == 9 || number + 1 == attacks.len() {
            let page = app.get("/room/team").await;
            let log = page.split("role=\"log\"").nth(1).unwrap_or_default();
            let log = log.split("<form").next().unwrap_or_default();
            // A marker of the framework.
            let log = log.replace("<!--<() />-->", "");
            // Every `<` of a text is escaped, so what follows one is an element of the page.
            for element in log.split('<').skip(1) {
                let element = element.split('>').next().unwrap_or_default();
                let name = element.split([' ', '/']).find(|part| !part.is_empty());
                assert!(KNOWN.contains(&name.unwrap_or_default()), "{element}");
                assert!(
                    !element.contains(" on") && !element.contains("javascript:"),
                    "{element}"
                );
            }
        }
    }
    for mark in sent.iter().flat_map(|message| &message.marks) {
        if let MarkKind::Link(target) = &mark.kind {
            let lower = target.to_lowercase();
            assert!(
                lower.starts_with("http://") || lower.starts_with("https://"),
                "{target}"
            );
        }
    }
    assert!(sent.len() > 400);
}

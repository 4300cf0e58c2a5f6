//! Text of people: normalisation, look-alike nicknames, invisible characters, emoji, direction.

use super::harness::{TestApp, without_markers};
use crate::protocol::{ChatDraft, ClientMessage, ErrorCode, ServerMessage};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// `회의실` as a file name of macOS has it.
const DECOMPOSED: &str = "\u{1112}\u{116C}\u{110B}\u{1174}\u{1109}\u{1175}\u{11AF}";

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn people_whose_nicknames_look_the_same_are_tagged_by_the_first_page_too() {
    let app = TestApp::start().await;
    let _ann = app.join("team", "Ann").await;
    let alone = app.get("/room/team").await;
    assert_eq!(alone.matches("class=\"tag\"").count(), 0, "{alone}");
    let other = app.join("team", "\u{410}nn").await;
    let looks: Vec<_> = other
        .joined()
        .people
        .iter()
        .map(|p| p.look.as_deref())
        .collect();
    assert_eq!(looks, [None, Some("ann")]);
    let page = app.get("/room/team").await;
    assert_eq!(page.matches("class=\"tag\"").count(), 2, "{page}");
}

#[tokio::test]
async fn quotes_and_search_results_of_look_alikes_are_tagged() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let id = ann.send_chat("the real one").await.id;
    let mut other = app.join("team", "\u{410}nn").await;
    let answer = ClientMessage::Chat(ChatDraft {
        id: super::harness::new_id(),
        text: "no, the real one".to_owned(),
        reply_to: Some(id),
        files: Vec::new(),
        mentions: Vec::new(),
    });
    other.send(&answer).await;
    other.wait_for_chat("no, the real one").await;
    let tags_in = |page: &str, from: &str, to: &str| {
        let part = page
            .split_once(from)
            .and_then(|(_, rest)| rest.split_once(to));
        part.map(|(part, _)| part.matches("class=\"tag\"").count())
    };
    let page = app.get("/room/team").await;
    let quote = tags_in(&page, "<blockquote", "</blockquote>");
    assert_eq!(quote, Some(1), "{page}");
    let page = app.get("/room/team?q=real").await;
    assert_eq!(tags_in(&page, "found__list", "</ol>"), Some(2), "{page}");
}

#[tokio::test]
async fn a_rename_changes_the_look() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let names = |nickname: &str| {
        let nickname = nickname.to_owned();
        ClientMessage::Nickname { nickname }
    };
    for (nickname, look) in [("\u{410}nn", Some("ann")), ("Ben", None)] {
        ann.send(&names(nickname)).await;
        let renamed = ann.wait_for(|message| match message {
            ServerMessage::Renamed { person, .. } => Some(person),
            _ => None,
        });
        assert_eq!(renamed.await.look.as_deref(), look);
    }
}

#[tokio::test]
async fn composed_and_decomposed_korean_are_one_room_and_one_search() {
    let app = TestApp::start().await;
    let mut ann = app.join("회의실", "Ann").await;
    let ben = app.join(DECOMPOSED, "Ben").await;
    assert_eq!(ben.joined().people.len(), 2);
    assert_eq!(ann.send_chat(DECOMPOSED).await.words(), "회의실");
    let path = format!("/room/{}", encoded(DECOMPOSED));
    assert!(without_markers(&app.get(&path).await).contains("회의실</h1>"));
    let found = app.get(&format!("{path}?q={}", encoded(DECOMPOSED))).await;
    assert_eq!(found.matches("class=\"found__item\"").count(), 1, "{found}");
}

#[tokio::test]
async fn invisible_text_is_refused_as_name_and_message() {
    let app = TestApp::start().await;
    let mut client = app.connect().await;
    let join = |room: &str, nickname: &str| super::harness::join(room, nickname, None);
    client.send(&join("\u{200B}", "Ann")).await;
    assert_eq!(client.wait_for_refusal().await.0, ErrorCode::BadRoomName);
    client.send(&join("team", "\u{3164}\u{2800}")).await;
    assert_eq!(client.wait_for_refusal().await.0, ErrorCode::BadNickname);
    client.join("team", "Ann").await;
    let id = super::harness::new_id();
    client
        .send(&ClientMessage::Chat(ChatDraft {
            id,
            text: "\u{E0020}\u{115F}".to_owned(),
            reply_to: None,
            files: Vec::new(),
            mentions: Vec::new(),
        }))
        .await;
    assert_eq!(
        client.wait_for_refusal().await,
        (ErrorCode::MessageEmpty, Some(id))
    );
    let said = client.send_chat("https://ex.example/\u{202E}gpj.exe").await;
    assert_eq!(said.words(), "https://ex.example/gpj.exe");
}

#[tokio::test]
async fn a_reaction_is_any_emoji_and_nothing_else() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let id = ann.send_chat("hello").await.id;
    let react = |emoji: &str| ClientMessage::React {
        id,
        emoji: emoji.to_owned(),
        on: true,
    };
    for (given, kept) in [("ℹ️", "ℹ️"), ("🅰️", "🅰️"), ("❤", "❤️")] {
        ann.send(&react(given)).await;
        let emoji = ann.wait_for(|message| match message {
            ServerMessage::Reaction { emoji, .. } => Some(emoji),
            _ => None,
        });
        assert_eq!(emoji.await.as_str(), kept, "{given}");
    }
    for none in ["…", "\u{200D}", "1", "가"] {
        ann.send(&react(none)).await;
        assert_eq!(
            ann.wait_for_refusal().await,
            (ErrorCode::BadEmoji, Some(id)),
            "{none:?}"
        );
    }
}

#[tokio::test]
async fn names_and_messages_have_their_own_text_direction_on_the_page() {
    let app = TestApp::start().await;
    let mut ann = app.join("חדר", "עדי").await;
    ann.send_chat("שלום https://ex.example/abc에서").await;
    let page = without_markers(&app.get(&format!("/room/{}", encoded("חדר"))).await);
    for isolated in [
        "<bdi class=\"person__name\">עדי</bdi>",
        "<h1 dir=\"auto\" class=\"room__name\">חדר</h1>",
        "<bdi class=\"room__bar-name\">חדר</bdi>",
    ] {
        assert!(page.contains(isolated), "{isolated} in {page}");
    }
    let element = |part: &str| {
        let mut elements = page.split('<').filter_map(|rest| rest.split('>').next());
        elements
            .find(|element| element.contains(part))
            .unwrap_or_default()
    };
    assert!(element("message__name").starts_with("bdi "));
    assert!(element("message__text").contains("dir=\"auto\""));
    assert!(element("\"https://ex.example/abc\"").contains("dir=\"ltr\""));
    assert!(element("textarea ").contains("dir=\"auto\""));
    let welcome = without_markers(&app.get("/").await);
    assert!(
        welcome.contains("<bdi class=\"rooms__name\">חדר</bdi>"),
        "{welcome}"
    );
}

#[tokio::test]
async fn keyboards_leave_the_letters_of_a_room_name_as_they_are() {
    let page = TestApp::start().await.get("/").await;
    let field = |name: &str| {
        let field = page
            .split("<input")
            .find(|input| input.contains(&format!("name=\"{name}\"")));
        let field = field.and_then(|input| input.split('>').next());
        field.unwrap_or_default().to_owned()
    };
    for attribute in [
        "autocapitalize=\"none\"",
        "autocorrect=\"off\"",
        "spellcheck=\"false\"",
    ] {
        assert!(field("room").contains(attribute), "{}", field("room"));
        assert!(!field("nickname").contains(attribute));
    }
}

#[tokio::test]
async fn a_new_room_points_to_an_open_one_of_another_letter_case() {
    let app = TestApp::start().await;
    let hint = |page: &str| page.contains("differs only in upper and lower case");
    let mut ann = app.join("garten Straße", "Ann").await;
    // The list of open rooms is published with a delay.
    let listed = async { while !app.get("/").await.contains("garten Stra") {} };
    let listed = tokio::time::timeout(super::harness::DEADLINE, listed).await;
    listed.expect("the room is listed");
    let path = |name: &str| format!("/room/{}", encoded(name));
    let page = app.get(&path("Garten Straße")).await;
    assert!(hint(&page), "{page}");
    let link = format!("href=\"{}\"", "/room/garten%20Stra%C3%9Fe");
    assert!(page.contains(&link), "{link} in {page}");
    assert!(!hint(&app.get(&path("garten Straße")).await), "itself");
    assert!(!hint(&app.get(&path("garten Strasse")).await), "another");
    // A room with a stored message does not point to another one.
    let mut ben = app.join("GARTEN STRAßE", "Ben").await;
    ben.send_chat("hello").await;
    assert!(!hint(&app.get(&path("GARTEN STRAßE")).await), "in use");
    ann.send_chat("hello").await;
}

#[test]
fn further_examples_of_invisible_text() {
    use crate::protocol::{ChatText, Nickname, RoomName};
    // Byte order mark, soft hyphen, grapheme joiner, fillers of Hangul and Khitan, vowels of
    // Khmer, separators, tags, selectors, marks of music and shorthand, an empty notehead.
    let unseen = [
        '\u{FEFF}',
        '\u{AD}',
        '\u{34F}',
        '\u{115F}',
        '\u{1160}',
        '\u{FFA0}',
        '\u{3164}',
        '\u{16FE4}',
        '\u{17B4}',
        '\u{17B5}',
        '\u{180B}',
        '\u{180E}',
        '\u{2060}',
        '\u{2064}',
        '\u{2065}',
        '\u{206A}',
        '\u{2800}',
        '\u{FE0F}',
        '\u{FFF0}',
        '\u{FFFC}',
        '\u{1BCA0}',
        '\u{1D159}',
        '\u{1D173}',
        '\u{E0001}',
        '\u{E007F}',
        '\u{E0100}',
        '\u{E01F0}',
        '\u{61C}',
        '\u{200E}',
        '\u{2067}',
        '\u{3000}',
        '\u{1680}',
        '\u{A0}',
        '\u{202F}',
        '\u{205F}',
        '\u{301}',
        '\u{20DD}',
    ];
    for c in unseen {
        let text = format!("{c} {c}{c}");
        assert!(Nickname::parse(&text).is_err(), "U+{:04X}", u32::from(c));
        assert!(RoomName::parse(&text).is_err(), "U+{:04X}", u32::from(c));
        assert!(ChatText::parse(&text).is_err(), "U+{:04X}", u32::from(c));
    }
}

#[test]
fn further_examples_of_names_that_look_the_same() {
    use crate::protocol::{Nickname, ParticipantId, Person};
    let person = |nickname: &str, id: &str| {
        let id = ParticipantId::parse(id).expect("an id");
        Person::new(id, Nickname::parse(nickname).expect("a nickname"))
    };
    let pairs = [
        ("Ann", "Ann\u{FEFF}"),
        ("Ann", "A\u{34F}nn"),
        ("Ann Lee", "Ann\u{3000}\u{2009}Lee"),
        ("Ann", "Ａｎｎ"),
        ("Ann", "𝐀𝐧𝐧"),
        ("Áine", "A\u{301}ine"),
        ("Ệ", "E\u{302}\u{323}"),
        ("Ångström", "\u{212B}ngstro\u{308}m"),
        ("Pavel", "Раvеl"),
        ("Olivia", "0livia"),
        ("Ida", "lda"),
        ("fiona", "\u{FB01}ona"),
        ("Ann", "Ann\u{2800}"),
        ("김철수", "\u{1100}\u{1175}\u{11B7}철수"),
    ];
    for (one, other) in pairs {
        let people = [person(one, "p_one"), person(other, "p_other")];
        let names = crate::state::duplicate_names::DuplicateNames::among(people.iter());
        assert!(names.tag(&people[0].id).is_some(), "{one} {other:?}");
    }
}

#[test]
fn further_examples_of_links_in_a_sentence() {
    use crate::protocol::text::links::{Piece, pieces};
    let links = |text: &str| -> Vec<String> {
        let pieces = pieces(text).into_iter();
        let links = pieces.filter_map(|piece| match piece {
            Piece::Link(url) => Some(url),
            Piece::Words(_) => None,
        });
        links.collect()
    };
    for (text, link) in [
        ("https://ex.example/abc입니다", "https://ex.example/abc"),
        ("https://ex.example/abc를", "https://ex.example/abc"),
        ("https://ex.example까지", "https://ex.example"),
        ("「https://ex.example/a」と", "https://ex.example/a"),
        ("『https://ex.example/a?b=c』", "https://ex.example/a?b=c"),
        ("【https://ex.example/a】", "https://ex.example/a"),
        ("《https://ex.example/a》", "https://ex.example/a"),
        ("見てhttps://ex.example/aです。", "https://ex.example/a"),
        ("请看https://ex.example/a，谢谢", "https://ex.example/a"),
        ("https://ex.example/a！", "https://ex.example/a"),
        ("https://ex.example/a；", "https://ex.example/a"),
        ("https://ex.example/a？", "https://ex.example/a"),
        ("https://ex.example/a…", "https://ex.example/a"),
        ("https://ex.example/a‥", "https://ex.example/a"),
        ("https://ex.example/a・", "https://ex.example/a"),
        ("https://ex.example/a～", "https://ex.example/a"),
        ("(https://ex.example/a_(b))", "https://ex.example/a_(b)"),
        ("<https://ex.example/a>", "https://ex.example/a"),
        ("“https://ex.example/a”", "https://ex.example/a"),
        ("http://[2001:db8::1]:80/x", "http://[2001:db8::1]:80/x"),
        ("http://[::ffff:192.0.2.1]/", "http://[::ffff:192.0.2.1]/"),
        (
            "https://ko.wikipedia.org/wiki/한국",
            "https://ko.wikipedia.org/wiki/한국",
        ),
    ] {
        assert_eq!(links(text), [link], "{text}");
    }
    for none in [
        "http://[::1",
        "http://[1:2]/",
        "http://[::g]/",
        "https://。",
    ] {
        assert_eq!(links(none), [""; 0], "{none}");
    }
}

#[test]
fn further_examples_of_emoji() {
    use crate::protocol::Emoji;
    for emoji in [
        "#️⃣",
        "0️⃣",
        "©️",
        "™️",
        "㊗️",
        "🈁",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "🇰🇷",
        "👩‍❤️‍💋‍👨",
        "👨🏽‍🦰",
        "🧑‍🚀",
        "☝🏿",
        "🏳️‍🌈",
        "♾️",
        "〰️",
        "🫨",
    ] {
        assert!(Emoji::parse(emoji).is_ok(), "{emoji}");
    }
    for none in [
        "",
        " ",
        "\u{FE0F}",
        "\u{200D}",
        "\u{20E3}",
        "#",
        "*",
        "9",
        "🇰",
        "👍👍",
        "👍 ",
        "a👍",
        "🏴\u{E0067}",
        "👩\u{200D}",
        "\u{E0067}",
        "…",
        "—",
        "가",
        "\u{1F9FF}\u{1F9FF}",
    ] {
        assert!(Emoji::parse(none).is_err(), "{none:?}");
    }
}

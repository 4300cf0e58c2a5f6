//! Tests of the marks: CommonMark's examples of the subset, what stays text, and properties.

use super::markdown::{MAX_DEPTH, MAX_MARKS_BYTES, MAX_SIGN_COLUMN, marks, with_shallow_blocks};
use crate::protocol::{Mark, MarkKind, Node, nodes, plain};
use proptest::prelude::*;
use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

/// The nodes of a text as tags; text is not escaped.
fn drawn(text: &str) -> String {
    fn tag(kind: &MarkKind) -> (String, &'static str) {
        let (open, close) = match kind {
            MarkKind::Syntax | MarkKind::Unknown => ("?", "?"),
            MarkKind::Bold => ("b", "b"),
            MarkKind::Italic => ("i", "i"),
            MarkKind::Strike => ("s", "s"),
            MarkKind::Code => ("code", "code"),
            MarkKind::CodeBlock => ("pre", "pre"),
            MarkKind::Quote => ("q", "q"),
            MarkKind::List => ("ul", "ul"),
            MarkKind::OrderedList(first) => return (format!("ol {first}"), "ol"),
            MarkKind::Item => ("li", "li"),
            MarkKind::Link(target) => return (format!("a {target}"), "a"),
            // People are found in the room, not by the parser.
            MarkKind::Mention(_) => ("mention", "mention"),
        };
        (open.to_owned(), close)
    }
    fn draw(nodes: &[Node]) -> String {
        let parts = nodes.iter().map(|node| match node {
            Node::Text(text) => text.clone(),
            Node::Marked(kind, inside) => {
                let (open, close) = tag(kind);
                format!("<{open}>{}</{close}>", draw(inside))
            }
        });
        parts.collect()
    }
    draw(&nodes(text, &marks(text)))
}

#[test]
fn examples_of_commonmark_are_drawn() {
    for (typed, expected) in [
        // Section 6.2: emphasis and strong emphasis.
        ("*foo bar*", "<i>foo bar</i>"),
        ("a * foo bar*", "a * foo bar*"),
        ("foo*bar*", "foo<i>bar</i>"),
        ("_foo bar_", "<i>foo bar</i>"),
        ("foo_bar_baz", "foo_bar_baz"),
        ("**foo bar**", "<b>foo bar</b>"),
        ("__foo bar__", "<b>foo bar</b>"),
        ("***foo** bar*", "<i><b>foo</b> bar</i>"),
        ("*foo **bar** baz*", "<i>foo <b>bar</b> baz</i>"),
        ("**foo*", "*<i>foo</i>"),
        ("*foo\nbar*", "<i>foo\nbar</i>"),
        ("~~Hi~~ Hello", "<s>Hi</s> Hello"),
        // Section 6.1: code spans.
        ("`foo`", "<code>foo</code>"),
        ("`` foo ` bar ``", "<code>foo ` bar</code>"),
        ("` `` `", "<code>``</code>"),
        ("*foo`*`", "*foo<code>*</code>"),
        (
            "`a **b** https://a.example`",
            "<code>a **b** https://a.example</code>",
        ),
        // Section 2.4: backslash escapes.
        ("\\*not italic\\*", "*not italic*"),
        ("\\\\*i*", "\\<i>i</i>"),
        ("\\a", "\\a"),
        // Section 4.5: fenced code blocks.
        ("```\n<\n >\n```", "<pre><\n ></pre>"),
        ("~~~\naaa\n```\n~~~", "<pre>aaa\n```</pre>"),
        (
            "```rust\nlet a;\n\nlet b;\n```",
            "<pre>let a;\n\nlet b;</pre>",
        ),
        ("a\n```\nb\n```\nc", "a<pre>b</pre>c"),
        ("```\naaa", "<pre>aaa</pre>"),
        ("> ```\n> a\n> ```\nb", "<q><pre>a</pre></q>b"),
        // Section 5.1: block quotes.
        ("> foo\n> bar", "<q>foo\nbar</q>"),
        ("> foo\nbar", "<q>foo\nbar</q>"),
        ("> foo\n>\n> bar", "<q>foo\n\nbar</q>"),
        ("a\n> b\n\nc", "a<q>b</q>c"),
        ("> > a\n> b", "<q><q>a\nb</q></q>"),
        ("> *a*", "<q><i>a</i></q>"),
        // Sections 5.2 and 5.3: lists.
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("+ a\n+ b", "<ul><li>a</li><li>b</li></ul>"),
        ("1. a\n2. b", "<ol 1><li>a</li><li>b</li></ol>"),
        ("7) a\n1) b", "<ol 7><li>a</li><li>b</li></ol>"),
        (
            "- a\n  - b\n- c",
            "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>",
        ),
        ("- a\n\n  b\n\nc", "<ul><li>a\n\nb</li></ul>c"),
        ("- a\n\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("* a *b*\n  c", "<ul><li>a <i>b</i>\nc</li></ul>"),
        ("- > a", "<ul><li><q>a</q></li></ul>"),
        ("> - a\n> - b", "<q><ul><li>a</li><li>b</li></ul></q>"),
        ("hello\n- a", "hello<ul><li>a</li></ul>"),
        // Section 6.7: hard line breaks.
        ("a  \nb\\\nc\nd", "a  \nb\nc\nd"),
    ] {
        assert_eq!(drawn(typed), expected, "{typed}");
    }
}

#[test]
fn signs_work_beside_punctuation_in_languages_without_spaces() {
    for (typed, expected) in [
        ("**강조**는", "<b>강조</b>는"),
        ("**\"강조\"**는 좋다", "<b>\"강조\"</b>는 좋다"),
        ("**강조(주의)**를", "<b>강조(주의)</b>를"),
        ("나는**「이것」**을", "나는<b>「이것」</b>을"),
        ("~~50%~~가", "<s>50%</s>가"),
        ("*정말?*이라고", "<i>정말?</i>이라고"),
        (
            "**[a](http://b.example)**는",
            "**<a http://b.example>a</a>(http://b.example)**는",
        ),
        ("**a\\\"**는", "**a\"**는"),
        ("2.**3", "2.**3"),
    ] {
        assert_eq!(drawn(typed), expected, "{typed}");
    }
}

#[test]
fn a_link_shows_its_target_where_its_words_differ() {
    for (typed, expected) in [
        (
            "[a *b*](https://ex.example/c)",
            "<a https://ex.example/c>a <i>b</i></a>(https://ex.example/c)",
        ),
        (
            "[https://ex.example/c](https://ex.example/c)",
            "<a https://ex.example/c>https://ex.example/c</a>",
        ),
        (
            "[https://good.example](https://evil.example)",
            "<a https://evil.example>https://good.example</a>(https://evil.example)",
        ),
        (
            "![cat](http://ex.example/cat.png \"title\")",
            "<a http://ex.example/cat.png>cat</a>(http://ex.example/cat.png \"title\")",
        ),
        (
            "[me](mailto:ann@ex.example)",
            "<a mailto:ann@ex.example>me</a>(mailto:ann@ex.example)",
        ),
        (
            "<https://ex.example/한국>",
            "<a https://ex.example/한국>https://ex.example/한국</a>",
        ),
        (
            "<ann@ex.example>",
            "<a mailto:ann@ex.example>ann@ex.example</a>",
        ),
        (
            "**[a](http://b.example)**",
            "<b><a http://b.example>a</a>(http://b.example)</b>",
        ),
        // No link in a link.
        (
            "[![a](http://b.example)](http://c.example)",
            "<a http://c.example>![a](http://b.example)</a>(http://c.example)",
        ),
    ] {
        assert_eq!(drawn(typed), expected, "{typed}");
    }
}

#[test]
fn what_is_not_in_the_subset_stays_as_typed() {
    for typed in [
        "hello",
        "<b>bold</b> <img src=x onerror=alert(1)> <!-- a -->",
        "<div>\n<script>alert(1)</script>\n</div>",
        "&amp; &lt;b&gt; &#35;",
        "# a heading",
        "a heading\n---",
        "---",
        "* * *",
        "| a | b |\n|---|---|\n| c | d |",
        "a\n\n\n\nb",
        "[a]: http://b.example",
        "[a][b]\n\n[b]: http://b.example",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](java&#115;cript:alert(1))",
        "[a](data:text/html,x)",
        "[a](//b.example)",
        "[a](/room/x)",
        "[a](http&colon;//b.example)",
        "[a](http://b&period;example)",
        "[a](https://b.example/\\_)",
        "[a](mailto:a@b.c?subject=x)",
        "[a](mailto:a@b.c,d@e.f)",
        "[](http://b.example)",
        "[ ](http://b.example)",
        "<javascript:alert(1)>",
        "-",
        "1.",
        "a\n\n-",
        "```",
        "```rm -rf /",
        ">",
        "> >",
        // People who write no Markdown.
        "^_^ hi ^_^",
        "-_- hi -_-",
        ">_< hi >.<",
        "네~ 안녕~반가워~",
        "2026. 11. 30. 회의",
        "11. 30. (월)",
        "snake_case_name 3 * 4 * 5 + 1",
        "https://ex.example/*a*/_b_/~~c~~",
        "https://ex.example/[x](https://b.example)",
        "T_T ㅠ_ㅠ :-) ¬_¬",
    ] {
        assert_eq!(drawn(typed), typed);
    }
}

#[test]
fn a_text_without_form_has_no_marks() {
    for typed in ["hello", "a - b", "3.5 https://ex.example/a_b_c", "> _ <"] {
        let found = marks(typed);
        assert!(
            found.is_empty() || typed.starts_with('>'),
            "{typed} {found:?}"
        );
    }
}

#[test]
fn the_plain_text_has_each_block_on_its_own_line() {
    for (typed, expected) in [
        ("**한👋** `b`", "한👋 b"),
        ("a\n- b\n- c\n\nd", "a\nb\nc\nd"),
        ("> a\n> b\n\nc", "a\nb\nc"),
        ("```sh\nls\n```\nthen", "ls\nthen"),
        ("[a](http://b.example)", "a(http://b.example)"),
    ] {
        assert_eq!(plain(typed, &marks(typed)), expected, "{typed}");
    }
}

/// Pieces of markup, from which texts are made.
const PIECES: [&str; 40] = [
    "*",
    "**",
    "_",
    "__",
    "~~",
    "~",
    "`",
    "``",
    "```",
    "```\n",
    "\n",
    "\n\n",
    "> ",
    ">",
    "- ",
    "+ ",
    "1. ",
    "2) ",
    "    ",
    "\t",
    " ",
    "\\",
    "[",
    "]",
    "](",
    "(",
    ")",
    "![",
    "<",
    ">",
    "http://a.example",
    "mailto:a@b.c",
    "&amp;",
    "<b>",
    "<!--",
    "# ",
    "---",
    "a",
    "한국",
    "👋",
];

/// Checks what holds for the marks of every text.
fn check(text: &str) -> Result<(), TestCaseError> {
    let found = marks(text);
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut open: Vec<&Mark> = Vec::new();
    let mut before = (0, 0);
    let mut shown: Vec<u16> = Vec::new();
    let mut at = 0;
    for mark in &found {
        let (start, end) = (mark.start as usize, mark.end as usize);
        prop_assert!(start < end && end <= units.len(), "{:?}", mark);
        for edge in [start, end] {
            let is_inside_pair = units
                .get(edge)
                .is_some_and(|unit| (0xDC00..0xE000).contains(unit));
            prop_assert!(!is_inside_pair, "on a character: {:?}", mark);
        }
        let place = (mark.start, u32::MAX - mark.end);
        prop_assert!(before <= place, "sorted: {:?}", found);
        before = place;
        open.retain(|outer| outer.end > mark.start);
        let is_nested = open.last().is_none_or(|outer| mark.end <= outer.end);
        prop_assert!(is_nested, "nested: {:?}", found);
        let in_syntax = open
            .last()
            .is_some_and(|outer| outer.kind == MarkKind::Syntax);
        prop_assert!(!in_syntax, "syntax has no parts: {:?}", found);
        if mark.kind == MarkKind::Syntax {
            shown.extend(&units[at..start]);
            at = end;
        }
        if let MarkKind::Link(target) = &mark.kind {
            let schemes = ["http://", "https://", "mailto:"];
            let lower = target.to_ascii_lowercase();
            prop_assert!(schemes.iter().any(|scheme| lower.starts_with(scheme)));
            prop_assert!(
                !open
                    .iter()
                    .any(|outer| matches!(outer.kind, MarkKind::Link(_)))
            );
        }
        open.push(mark);
        prop_assert!(open.len() <= MAX_DEPTH + 1);
    }
    shown.extend(&units[at..]);
    let mut nodes_text = String::new();
    collect(&nodes(text, &found), &mut nodes_text);
    prop_assert_eq!(&nodes_text, &String::from_utf16_lossy(&shown));
    let json = serde_json::to_string(&found).expect("serialises");
    prop_assert!(json.len() <= MAX_MARKS_BYTES);
    let read: Vec<Mark> = serde_json::from_str(&json).expect("decodes");
    prop_assert_eq!(&read, &found);
    if text.chars().any(|c| !c.is_whitespace()) {
        prop_assert!(
            !nodes_text.trim().is_empty() || text.contains('`'),
            "nothing is shown"
        );
    }
    Ok(())
}

/// Appends the text of nodes.
fn collect(nodes: &[Node], text: &mut String) {
    for node in nodes {
        match node {
            Node::Text(part) => text.push_str(part),
            Node::Marked(_, inside) => collect(inside, text),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn marks_are_sorted_nested_and_lose_only_syntax(
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..24)
    ) {
        check(&pieces.concat())?;
    }

    #[test]
    fn marks_of_any_text_are_sorted_and_nested(text in "(?s:.{0,60})") {
        check(&text)?;
    }
}

/// Frames of former attacks on the decoder, which are texts as well.
const FRAMES: &str = include_str!("../../tests/corpus/frames.txt");

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn marks_of_cut_and_mixed_frames_are_sorted_and_nested(
        parts in prop::collection::vec((any::<prop::sample::Index>(), 0..120_usize, 0..120_usize, 0..40_usize), 1..6)
    ) {
        let lines: Vec<&str> = FRAMES.lines().collect();
        let mut text = String::new();
        for (line, from, length, piece) in parts {
            let line = lines[line.index(lines.len())];
            text.extend(line.chars().skip(from).take(length));
            text.push_str(PIECES[piece]);
        }
        check(&text)?;
    }
}

/// Texts of 4,000 characters, each of one or two pieces of markup.
fn long_texts() -> impl Iterator<Item = String> {
    let pairs = PIECES
        .iter()
        .flat_map(|one| PIECES.iter().map(move |other| format!("{one}{other}")));
    let more = [
        "*a_ ", "[a](", "`a``b", "> - ", "- a\n", "1. a\n", "a\n- ", "![[]()", "<a ", "**a *b ",
    ];
    let openers = ["[", "*", "`", "> ", "- "].iter().flat_map(|open| {
        [
            format!("{}x{}", open.repeat(1_900 / open.len()), "]".repeat(1_900)),
            {
                let nested: String = (1..80)
                    .map(|depth| " ".repeat(depth) + open + "a\n")
                    .collect();
                nested
            },
        ]
    });
    // Many lines of a block within many others.
    let deep =
        [("- ", "<!--"), ("> ", "```"), (">", "<!--"), ("1. ", "```")].map(|(sign, block)| {
            let signs = sign.repeat(1_990 / sign.len());
            format!("{signs}{block}{}", "\n".repeat(2_000))
        });
    let ticks = (1..85).map(|count| "`".repeat(count) + " ").collect();
    pairs
        .chain(more.map(str::to_owned))
        .map(|piece| piece.chars().cycle().take(4_000).collect())
        .chain(openers)
        .chain(deep)
        .chain([ticks])
}

#[test]
fn a_long_text_of_any_markup_is_parsed_in_time() {
    for text in long_texts() {
        check(&text).expect("holds");
        // Unoptimised, beside other tests: the fastest of five counts. It takes a tenth of this.
        let is_fast = (0..5).any(|_| {
            let start = Instant::now();
            marks(&text);
            start.elapsed() < Duration::from_millis(250)
        });
        assert!(is_fast, "{text}");
    }
}

#[test]
fn blocks_nest_at_most_as_deep_as_a_line_has_columns_for_signs() {
    use pulldown_cmark::{Event, Parser, Tag, TagEnd};
    for text in long_texts() {
        let shallow = with_shallow_blocks(Cow::Borrowed(&text));
        assert_eq!(shallow.len(), text.len());
        let mut depth = 0;
        for event in Parser::new(&shallow) {
            match event {
                Event::Start(Tag::BlockQuote(_) | Tag::Item) => depth += 1,
                Event::End(TagEnd::BlockQuote(_) | TagEnd::Item) => depth -= 1,
                _ => {}
            }
            assert!(depth <= MAX_SIGN_COLUMN, "{text}");
        }
    }
}

#[test]
fn long_rules_digits_and_indented_signs_leave_the_form_of_other_lines() {
    for line in [
        "- ".repeat(90),
        "* ".repeat(90),
        "3".repeat(200),
        format!("{}- 1", "\t".repeat(40)),
    ] {
        let text = format!("{line}\n\n**bold**");
        let bold = marks(&text);
        assert!(
            bold.iter().any(|mark| mark.kind == MarkKind::Bold),
            "{text}: {bold:?}"
        );
        check(&text).expect("holds");
    }
}

#[test]
fn a_text_makes_at_most_four_events_for_each_character() {
    for text in long_texts() {
        let events = pulldown_cmark::Parser::new(&text).count();
        assert!(events <= 4 * text.chars().count(), "{text}");
    }
}

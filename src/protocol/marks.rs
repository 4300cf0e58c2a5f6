//! The marks of a text: which ranges of what the author typed are bold, a quote, a link.
//!
//! The server makes them from Markdown ([`super::text::marks`]) and sends them beside the unchanged
//! text, so that no page needs a parser. Offsets count UTF-16 code units, as strings of browsers do.
//! Marks are sorted by their start, outer ones first, and each lies within the one that it starts in.
//! What is typed only for the form (`**`, `> `) is a mark of its own, [`MarkKind::Syntax`].

use super::ParticipantId;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{IgnoredAny, SeqAccess, Visitor},
    ser::SerializeSeq,
};
use std::fmt;

/// A range of a text with its form. On the wire an array: start, end, kind and, for some kinds, a
/// fourth element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// First UTF-16 code unit of the range.
    pub start: u32,
    /// The UTF-16 code unit after the range.
    pub end: u32,
    /// The form of the range.
    pub kind: MarkKind,
}

/// The form of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkKind {
    /// Typed for the form only, and not shown.
    Syntax,
    /// Words of strong importance.
    Bold,
    /// Words with emphasis.
    Italic,
    /// No longer valid.
    Strike,
    /// Code within a line.
    Code,
    /// Lines of code.
    CodeBlock,
    /// Words of somebody else.
    Quote,
    /// A list with bullets.
    List,
    /// A list with numbers, and the first of them.
    OrderedList(u32),
    /// One item of a list.
    Item,
    /// A link, and its target: an `http`, `https` or `mailto` address.
    Link(String),
    /// The nickname of somebody in the room, with `@` before it, and the id of the person.
    Mention(ParticipantId),
    /// A kind of a later version: the range is shown like the text around it.
    Unknown,
}

impl MarkKind {
    /// The name on the wire.
    fn name(&self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Bold => "bold",
            Self::Italic => "italic",
            Self::Strike => "strike",
            Self::Code => "code",
            Self::CodeBlock => "code_block",
            Self::Quote => "quote",
            Self::List => "list",
            Self::OrderedList(_) => "ordered_list",
            Self::Item => "item",
            Self::Link(_) => "link",
            Self::Mention(_) => "mention",
            Self::Unknown => "unknown",
        }
    }

    /// The kind with a name and the fourth element, empty if there is none.
    fn parse(name: &str, detail: String) -> Self {
        match name {
            "syntax" => Self::Syntax,
            "bold" => Self::Bold,
            "italic" => Self::Italic,
            "strike" => Self::Strike,
            "code" => Self::Code,
            "code_block" => Self::CodeBlock,
            "quote" => Self::Quote,
            "list" => Self::List,
            "ordered_list" => Self::OrderedList(detail.parse().unwrap_or(1)),
            "item" => Self::Item,
            "link" => Self::Link(detail),
            "mention" => Self::Mention(ParticipantId::from_stored(&detail)),
            _ => Self::Unknown,
        }
    }

    /// The fourth element.
    fn detail(&self) -> Option<String> {
        match self {
            Self::OrderedList(first) => Some(first.to_string()),
            Self::Link(target) => Some(target.clone()),
            Self::Mention(id) => Some(id.as_str().to_owned()),
            Self::Syntax
            | Self::Bold
            | Self::Italic
            | Self::Strike
            | Self::Code
            | Self::CodeBlock
            | Self::Quote
            | Self::List
            | Self::Item
            | Self::Unknown => None,
        }
    }

    /// Whether addresses in the range are links by themselves: not in a link, and not in code.
    pub fn has_addresses(&self) -> bool {
        match self {
            Self::Code | Self::CodeBlock | Self::Link(_) | Self::Mention(_) => false,
            Self::Syntax
            | Self::Bold
            | Self::Italic
            | Self::Strike
            | Self::Quote
            | Self::List
            | Self::OrderedList(_)
            | Self::Item
            | Self::Unknown => true,
        }
    }

    /// Whether the range may hold mentions: not code, a link, or words of somebody else.
    #[cfg(feature = "ssr")]
    pub fn has_mentions(&self) -> bool {
        match self {
            Self::Syntax
            | Self::Code
            | Self::CodeBlock
            | Self::Quote
            | Self::Link(_)
            | Self::Mention(_) => false,
            Self::Bold
            | Self::Italic
            | Self::Strike
            | Self::List
            | Self::OrderedList(_)
            | Self::Item
            | Self::Unknown => true,
        }
    }

    /// Whether the range has lines of its own.
    pub fn is_block(&self) -> bool {
        match self {
            Self::CodeBlock | Self::Quote | Self::List | Self::OrderedList(_) | Self::Item => true,
            Self::Syntax
            | Self::Bold
            | Self::Italic
            | Self::Strike
            | Self::Code
            | Self::Link(_)
            | Self::Mention(_)
            | Self::Unknown => false,
        }
    }
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut array = to.serialize_seq(None)?;
        array.serialize_element(&self.start)?;
        array.serialize_element(&self.end)?;
        array.serialize_element(self.kind.name())?;
        if let Some(detail) = self.kind.detail() {
            array.serialize_element(&detail)?;
        }
        array.end()
    }
}

/// Elements that a later version appends are ignored.
impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Mark;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mark")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Mark, A::Error> {
                let start = array.next_element()?.unwrap_or_default();
                let end = array.next_element()?.unwrap_or_default();
                let name: String = array.next_element()?.unwrap_or_default();
                let detail: String = array.next_element()?.unwrap_or_default();
                while array.next_element::<IgnoredAny>()?.is_some() {}
                let kind = MarkKind::parse(&name, detail);
                Ok(Mark { start, end, kind })
            }
        }
        from.deserialize_seq(Elements)
    }
}

/// A part of a text as it is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Text without a form.
    Text(String),
    /// A marked range, and the parts in it.
    Marked(MarkKind, Vec<Node>),
}

/// The parts of a text by its marks, without the syntax. Marks that are not sorted or not nested
/// give other parts, and no panic.
pub fn nodes(text: &str, marks: &[Mark]) -> Vec<Node> {
    let mut reader = Reader {
        rest: text,
        at: 0,
        marks,
    };
    reader.nodes_until(u32::MAX)
}

/// The text without the syntax; each block begins a line.
pub fn plain(text: &str, marks: &[Mark]) -> String {
    if marks.is_empty() {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    add_plain(&nodes(text, marks), &mut plain, &mut false);
    plain
}

/// Appends the text of nodes. `breaks` is whether a block begins or ends here.
fn add_plain(nodes: &[Node], plain: &mut String, breaks: &mut bool) {
    for node in nodes {
        match node {
            Node::Text(text) => {
                if std::mem::take(breaks) && !plain.is_empty() && !plain.ends_with('\n') {
                    plain.push('\n');
                }
                plain.push_str(text);
            }
            Node::Marked(kind, inside) => {
                *breaks |= kind.is_block();
                add_plain(inside, plain, breaks);
                *breaks |= kind.is_block();
            }
        }
    }
}

/// Reads a text and its marks from the start to the end.
struct Reader<'a> {
    /// The text that is not read yet.
    rest: &'a str,
    /// The UTF-16 code unit at which `rest` begins.
    at: u32,
    /// The marks that are not read yet.
    marks: &'a [Mark],
}

impl Reader<'_> {
    /// Reads up to a code unit.
    fn nodes_until(&mut self, end: u32) -> Vec<Node> {
        let mut nodes = Vec::new();
        while let Some((mark, later)) = self.marks.split_first()
            && mark.start < end
        {
            self.marks = later;
            nodes.extend(self.text_until(mark.start));
            if mark.kind == MarkKind::Syntax {
                self.text_until(mark.end);
            } else {
                let inside = self.nodes_until(mark.end.min(end));
                nodes.push(Node::Marked(mark.kind.clone(), inside));
            }
        }
        nodes.extend(self.text_until(end));
        nodes
    }

    /// Reads text up to a code unit.
    fn text_until(&mut self, end: u32) -> Option<Node> {
        let mut length = 0;
        for c in self.rest.chars() {
            if self.at >= end {
                break;
            }
            self.at += c.len_utf16() as u32;
            length += c.len_utf8();
        }
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        (!text.is_empty()).then(|| Node::Text(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mark(start: u32, end: u32, kind: MarkKind) -> Mark {
        Mark { start, end, kind }
    }

    #[test]
    fn a_mark_is_a_short_array_on_the_wire() {
        let marks = [
            mark(0, 9, MarkKind::Bold),
            mark(1, 2, MarkKind::Link("https://a.example".to_owned())),
            mark(3, 4, MarkKind::OrderedList(7)),
            mark(5, 9, MarkKind::Mention(ParticipantId::from_stored("p_1"))),
        ];
        let json = serde_json::to_string(&marks).expect("serialises");
        assert_eq!(
            json,
            r#"[[0,9,"bold"],[1,2,"link","https://a.example"],[3,4,"ordered_list","7"],[5,9,"mention","p_1"]]"#
        );
        let read: Vec<Mark> = serde_json::from_str(&json).expect("decodes");
        assert_eq!(read, marks);
    }

    #[test]
    fn a_mark_of_a_later_version_is_shown_like_the_text_around_it() {
        let json = r#"[[0,2,"spoiler","x",{"y":[1]}]]"#;
        let marks: Vec<Mark> = serde_json::from_str(json).expect("decodes");
        let spoiler = Node::Marked(MarkKind::Unknown, vec![text("ab")]);
        assert_eq!(nodes("abc", &marks), [spoiler, text("c")]);
        assert_eq!(plain("abc", &marks), "abc");
    }

    fn text(text: &str) -> Node {
        Node::Text(text.to_owned())
    }

    #[test]
    fn nodes_are_cut_at_utf16_offsets() {
        let marks = [
            mark(0, 7, MarkKind::Bold),
            mark(0, 2, MarkKind::Syntax),
            mark(5, 7, MarkKind::Syntax),
        ];
        let shown = nodes("**한👋** b", &marks);
        assert_eq!(
            shown,
            [Node::Marked(MarkKind::Bold, vec![text("한👋")]), text(" b")]
        );
        assert_eq!(plain("**한👋** b", &marks), "한👋 b");
    }

    proptest! {
        #[test]
        fn any_marks_draw_without_a_panic_and_only_syntax_is_lost(
            typed in ".{0,40}",
            ranges in prop::collection::vec((0..60_u32, 0..60_u32, any::<bool>()), 0..20),
        ) {
            let marks: Vec<_> = ranges.into_iter().map(|(start, end, hidden)| {
                mark(start, end, if hidden { MarkKind::Syntax } else { MarkKind::Bold })
            }).collect();
            let shown = plain(&typed, &marks);
            prop_assert!(shown.len() <= typed.len());
            if marks.iter().all(|mark| mark.kind != MarkKind::Syntax) {
                prop_assert_eq!(shown, typed);
            }
        }
    }
}

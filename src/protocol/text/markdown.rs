//! Markdown: a subset of CommonMark, turned into [`Mark`]s of the typed text.
//!
//! * **In the subset**: bold, italic, strike (two tildes), code, fenced code blocks, quotes, lists,
//!   links, `<address>` and backslash escapes. Images are links.
//! * **Text**: HTML, entities, headings, rules, tables, indented code, links by reference, and links
//!   to anything but an `http`, `https` or `mailto` address in plain spelling. A line break stays one.
//! * **Also text**, because people who write no Markdown type it: `^_^`, `>_<`, `네~ 안녕~`, and the
//!   date `2026. 11. 30.`, which is three lists in CommonMark.
//! * **Beyond CommonMark**: `**"강조"**는` is bold, though a letter follows the closing signs and
//!   punctuation precedes them. In languages without spaces particles follow directly.
//! * A link whose words are not its target is followed by the target: `[a](https://b)` hides the
//!   brackets only.
//! * An address in the text (`super::links`) is whole: no mark starts or ends in it.
//! * Work and memory are linear in the length of the text ([`MAX_SIGN_COLUMN`]). A text whose marks nest deeper than
//!   [`MAX_DEPTH`] or take more than [`MAX_MARKS_BYTES`] has none.

use super::{
    invisible::is_unseen,
    links::{self, Piece, is_unspaced},
};
use crate::protocol::{Mark, MarkKind};
use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag};
use std::{borrow::Cow, cmp::Reverse, collections::HashSet, ops::Range};

/// Most marks within each other. Pages draw them by recursion.
pub const MAX_DEPTH: usize = 16;
/// Most bytes of the marks of one text as JSON: with the longest text, all files and all reactions they
/// fit into one frame.
pub const MAX_MARKS_BYTES: usize = 8 * 1024;

/// Last column of a line in which a quote or an item may begin; a tab counts as four. More than
/// [`MAX_DEPTH`] marks within each other need less.
pub(super) const MAX_SIGN_COLUMN: usize = 80;

/// The marks of a text.
pub fn marks(text: &str) -> Vec<Mark> {
    if !text.contains(['*', '_', '~', '`', '>', '[', '<', '\\', '-', '+', '.', ')']) {
        return Vec::new();
    }
    let parsed = with_shallow_blocks(with_letters_beside_signs(text));
    let events: Vec<_> = Parser::new_ext(&parsed, Options::ENABLE_STRIKETHROUGH)
        .into_offset_iter()
        .collect();
    let mut markup = Markup::new(text);
    if markup.read(&events).is_none() {
        return Vec::new();
    }
    markup.hide_prefixes();
    markup.drop_empty();
    markup.hide_around_blocks();
    let marks = markup.into_marks();
    let bytes = serde_json::to_string(&marks).map_or(usize::MAX, |json| json.len());
    match bytes <= MAX_MARKS_BYTES {
        true => marks,
        false => Vec::new(),
    }
}

/// The text for the parser, of the same length: punctuation between `*` or `~` and its words is a
/// letter where the character on the other side is one of a script without spaces. Otherwise the signs
/// would neither open nor close (CommonMark 6.2).
fn with_letters_beside_signs(text: &str) -> Cow<'_, str> {
    let is_sign = |c: char| matches!(c, '*' | '~');
    // The brackets of a link stay.
    let has_link = text.contains("](");
    let is_mark = |c: char| {
        let is_bracket = matches!(c, '(' | ')') && !has_link;
        is_bracket || "\"'.,!?:;%…·“”‘’「」『』《》〈〉".contains(c)
    };
    let is_letter = |c: char| is_unspaced(c) && !is_mark(c);
    let mut parsed = Cow::Borrowed(text);
    let mut at = 0;
    while let Some(found) = text[at..].find(is_sign) {
        let start = at + found;
        let rest = text[start..].trim_start_matches(is_sign);
        let end = text.len() - rest.len();
        at = end;
        let mut before = text[..start].chars().rev();
        let mut after = rest.chars();
        let (Some(left), Some(right)) = (before.next(), after.next()) else {
            continue;
        };
        let is_escaped = before.next() == Some('\\');
        let replaced = match (is_letter(left), is_letter(right)) {
            (false, true) if is_mark(left) && !is_escaped => start - left.len_utf8()..start,
            (true, false) if is_mark(right) => end..end + right.len_utf8(),
            _ => continue,
        };
        let letter = ["a", "é", "가"][replaced.len() - 1];
        parsed.to_mut().replace_range(replaced, letter);
    }
    parsed
}

/// The text for the parser, of the same length: signs of quotes and items behind [`MAX_SIGN_COLUMN`]
/// are letters. For each line of a fenced code block or of HTML the parser reads all quotes and items
/// around it, so a thousand of these before a thousand lines would be a million steps.
pub(super) fn with_shallow_blocks(mut text: Cow<'_, str>) -> Cow<'_, str> {
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n');
    let is_sign = |byte: u8| matches!(byte, b'>' | b'-' | b'*' | b'+' | b'.' | b')' | b'0'..=b'9');
    let mut deep = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mut column = 0;
        let found = deep.len();
        for (at, byte) in line.bytes().enumerate() {
            if !is_space(byte) && !is_sign(byte) {
                break;
            }
            column += if byte == b'\t' { 4 } else { 1 };
            if column > MAX_SIGN_COLUMN && is_sign(byte) {
                deep.push(start + at);
            }
        }
        // A rule (`- - -`) begins no item.
        let mut signs = line.bytes().filter(|byte| !is_space(*byte));
        let first = signs.next().filter(|byte| matches!(byte, b'-' | b'*'));
        let is_same = first.is_some() && signs.clone().all(|byte| Some(byte) == first);
        if is_same && signs.count() >= 2 {
            deep.truncate(found);
        }
        start += line.len();
    }
    for at in deep {
        text.to_mut().replace_range(at..=at, "a");
    }
    text
}

/// A range of bytes with its form.
struct Element {
    range: Range<usize>,
    kind: MarkKind,
}

/// A text while its marks are made. Ranges and places are in bytes.
struct Markup<'a> {
    text: &'a str,
    /// Which bytes are not shown.
    hidden: Vec<bool>,
    /// Which bytes are content: the parser found no block structure in them.
    content: Vec<bool>,
    /// Which bytes belong to an address in the text.
    address: Vec<bool>,
    /// In order of their start, outer ones first.
    elements: Vec<Option<Element>>,
}

/// A link that is being read.
struct OpenLink {
    /// Its place in the elements.
    element: usize,
    /// The whole source.
    range: Range<usize>,
    /// Where the words begin.
    words: usize,
    /// Where the words end, as far as they are read.
    words_end: usize,
    /// The address that it opens.
    target: String,
    /// How many parts were open when it began.
    depth: usize,
}

impl<'a> Markup<'a> {
    fn new(text: &'a str) -> Self {
        let mut address = vec![false; text.len()];
        let mut at = 0;
        for piece in links::pieces(text) {
            let length = match &piece {
                Piece::Words(words) => words.len(),
                Piece::Link(link) => {
                    address[at..at + link.len()].fill(true);
                    link.len()
                }
            };
            at += length;
        }
        Self {
            text,
            hidden: vec![false; text.len()],
            content: vec![false; text.len()],
            address,
            elements: Vec::new(),
        }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn hide(&mut self, range: Range<usize>) {
        self.hidden[range].fill(true);
    }

    fn push(&mut self, range: Range<usize>, kind: MarkKind) {
        self.elements.push(Some(Element { range, kind }));
    }

    /// Reads the events of the parser. Returns nothing if they nest too deep.
    fn read(&mut self, events: &[(Event<'_>, Range<usize>)]) -> Option<()> {
        let dates = date_lists(self.text, events);
        // Of each open part: whether it is marked.
        let mut open = Vec::new();
        let mut depth = 0;
        let mut lists = Vec::new();
        let mut link: Option<OpenLink> = None;
        let mut code_block = None;
        for (number, (event, range)) in events.iter().enumerate() {
            if let Some(link) = &mut link
                && !matches!(event, Event::End(_))
                && range.start >= link.words
            {
                link.words_end = link.words_end.max(range.end);
            }
            match event {
                Event::Start(tag) => {
                    let before = self.elements.len();
                    match tag {
                        Tag::Link { .. } | Tag::Image { .. } if link.is_some() => {}
                        Tag::Link {
                            link_type,
                            dest_url,
                            ..
                        }
                        | Tag::Image {
                            link_type,
                            dest_url,
                            ..
                        } => {
                            let words =
                                range.start + 1 + usize::from(matches!(tag, Tag::Image { .. }));
                            link = self.start_link(*link_type, dest_url, range, words, open.len());
                        }
                        Tag::List(first) => {
                            let is_list = !dates.contains(&number);
                            lists.push(is_list);
                            let first = first.map(|first| u32::try_from(first).unwrap_or(1));
                            let kind = first.map_or(MarkKind::List, MarkKind::OrderedList);
                            if is_list {
                                let range = self.trimmed(range);
                                self.push(range, kind);
                            }
                        }
                        Tag::Item if lists.last() == Some(&true) => self.start_item(range),
                        Tag::CodeBlock(CodeBlockKind::Fenced(_)) => {
                            let range = self.trimmed(range);
                            code_block = Some(range.clone());
                            self.push(range, MarkKind::CodeBlock);
                        }
                        tag => self.start(tag, range),
                    }
                    let is_marked = self.elements.len() > before;
                    open.push(is_marked);
                    depth += usize::from(is_marked);
                    if depth > MAX_DEPTH {
                        return None;
                    }
                }
                Event::End(end) => {
                    depth -= usize::from(open.pop() == Some(true));
                    match end {
                        pulldown_cmark::TagEnd::List(_) => {
                            lists.pop();
                        }
                        pulldown_cmark::TagEnd::CodeBlock => {
                            if let Some(range) = code_block.take() {
                                self.end_code_block(range);
                            }
                        }
                        _ => {}
                    }
                    if link.as_ref().is_some_and(|link| link.depth == open.len())
                        && let Some(link) = link.take()
                    {
                        self.end_link(link);
                    }
                }
                Event::Code(_) => self.code(range),
                Event::Text(_) => {
                    let escape = range.start.wrapping_sub(1);
                    if code_block.is_none()
                        && self.bytes().get(escape) == Some(&b'\\')
                        && !self.content[escape]
                    {
                        self.hide(escape..range.start);
                    }
                    self.content[range.clone()].fill(true);
                }
                Event::HardBreak => {
                    if self.bytes().get(range.start) == Some(&b'\\') {
                        self.hide(range.start..range.start + 1);
                    }
                    self.content[range.clone()].fill(true);
                }
                Event::SoftBreak
                | Event::Html(_)
                | Event::InlineHtml(_)
                | Event::Rule
                | Event::InlineMath(_)
                | Event::DisplayMath(_)
                | Event::FootnoteReference(_)
                | Event::TaskListMarker(_) => self.add_content(range),
            }
        }
        Some(())
    }

    /// Starts a part that is no link, list or code block.
    fn start(&mut self, tag: &Tag<'_>, range: &Range<usize>) {
        let Range { start, end } = *range;
        match tag {
            Tag::Strong if !self.is_in_address(range, 2) => {
                self.hide(start..start + 2);
                self.hide(end - 2..end);
                self.push(range.clone(), MarkKind::Bold);
            }
            Tag::Emphasis if !self.is_in_address(range, 1) && !self.is_face(range) => {
                self.hide(start..start + 1);
                self.hide(end - 1..end);
                self.push(range.clone(), MarkKind::Italic);
            }
            Tag::Strikethrough
                if self.text[range.clone()].starts_with("~~") && !self.is_in_address(range, 2) =>
            {
                self.hide(start..start + 2);
                self.hide(end - 2..end);
                self.push(range.clone(), MarkKind::Strike);
            }
            Tag::BlockQuote(_) => {
                let range = self.trimmed(range);
                if self.is_quote_sign(range.start) {
                    self.push(range, MarkKind::Quote);
                }
            }
            // What is not in the subset is text.
            _ => {}
        }
    }

    /// Whether the first or last `length` bytes of a range belong to an address in the text.
    fn is_in_address(&self, range: &Range<usize>, length: usize) -> bool {
        let ends = range.start..range.start + length;
        ends.chain(range.end - length..range.end)
            .any(|at| self.address[at])
    }

    /// Whether an emphasis by `_` is not at the start of a word: `^_^`, `-_-`.
    fn is_face(&self, range: &Range<usize>) -> bool {
        let before = self.text[..range.start].chars().next_back();
        let is_start = before.is_none_or(|c| c.is_whitespace() || "([{'\"*_~「『“‘".contains(c));
        self.bytes()[range.start] == b'_' && !is_start
    }

    /// Whether the `>` at a place is the sign of a quote: white space, another one or the end follows.
    fn is_quote_sign(&self, at: usize) -> bool {
        let bytes = self.bytes();
        bytes.get(at) == Some(&b'>')
            && matches!(bytes.get(at + 1), None | Some(b' ' | b'\t' | b'\n' | b'>'))
    }

    /// A range without white space at both ends.
    fn trimmed(&self, range: &Range<usize>) -> Range<usize> {
        let text = &self.text[range.clone()];
        let start = range.start + text.len() - text.trim_start().len();
        start..start + text.trim().len()
    }

    /// Notes content that may span lines, whose prefixes are no content.
    fn add_content(&mut self, range: &Range<usize>) {
        let bytes = self.bytes();
        let mut is_prefix = false;
        for at in range.clone() {
            is_prefix = is_prefix && matches!(bytes[at], b' ' | b'\t' | b'>');
            self.content[at] = !is_prefix;
            is_prefix |= bytes[at] == b'\n';
        }
    }

    /// Code within a line. One space at both ends is syntax (CommonMark 6.1).
    fn code(&mut self, range: &Range<usize>) {
        self.add_content(range);
        let source = &self.text[range.clone()];
        let ticks = source.len() - source.trim_start_matches('`').len();
        if self.is_in_address(range, ticks) {
            return;
        }
        let inside = &source[ticks..source.len() - ticks];
        let is_space = |c| matches!(c, ' ' | '\n');
        let is_padded =
            inside.starts_with(is_space) && inside.ends_with(is_space) && !inside.trim().is_empty();
        let length = ticks + usize::from(is_padded);
        self.hide(range.start..range.start + length);
        self.hide(range.end - length..range.end);
        self.push(range.clone(), MarkKind::Code);
    }

    /// Hides the fences of a code block, its language and the last line break.
    fn end_code_block(&mut self, range: Range<usize>) {
        for at in range.clone() {
            self.hidden[at] |= !self.content[at];
        }
        let last = range.clone().rev().find(|at| !self.hidden[*at]);
        if let Some(last) = last.filter(|last| self.bytes()[*last] == b'\n') {
            self.hide(last..last + 1);
        }
    }

    /// An item of a list, with its sign.
    fn start_item(&mut self, range: &Range<usize>) {
        let range = self.trimmed(range);
        let source = &self.text[range.clone()];
        let digits = source.bytes().take_while(u8::is_ascii_digit).count();
        self.hide(range.start..(range.start + digits + 1).min(range.end));
        self.push(range, MarkKind::Item);
    }

    /// Starts a link, unless its target may not be one.
    fn start_link(
        &mut self,
        link_type: LinkType,
        target: &str,
        range: &Range<usize>,
        words: usize,
        depth: usize,
    ) -> Option<OpenLink> {
        let target = match link_type {
            LinkType::Email => format!("mailto:{target}"),
            _ => target.to_owned(),
        };
        if !is_target(&target) {
            return None;
        }
        match link_type {
            LinkType::Autolink | LinkType::Email => {
                self.hide(range.start..range.start + 1);
                self.hide(range.end - 1..range.end);
                self.push(range.clone(), MarkKind::Link(target));
                None
            }
            LinkType::Inline => {
                let element = self.elements.len();
                self.elements.push(None);
                Some(OpenLink {
                    element,
                    range: range.clone(),
                    words,
                    words_end: words,
                    target,
                    depth,
                })
            }
            LinkType::Reference
            | LinkType::ReferenceUnknown
            | LinkType::Collapsed
            | LinkType::CollapsedUnknown
            | LinkType::Shortcut
            | LinkType::ShortcutUnknown
            | LinkType::WikiLink { .. } => None,
        }
    }

    /// Ends a link `[words](target)`. If the words are not the target, the target stays visible.
    fn end_link(&mut self, link: OpenLink) {
        let (words, end) = (&self.text[link.words..link.words_end], link.range.end);
        let Some(rest) = self.text[link.words_end..end].strip_prefix("](") else {
            return;
        };
        // Escapes and entities would show another target than the one that is opened.
        let rest = rest.trim_start().trim_start_matches('<');
        if !rest.starts_with(&link.target) || self.address[link.range.start] {
            return;
        }
        let shown = words == link.target;
        let close = if shown { end } else { link.words_end + 1 };
        self.hide(link.range.start..link.words);
        self.hide(link.words_end..close);
        self.elements[link.element] = Some(Element {
            range: link.range.start..close,
            kind: MarkKind::Link(link.target),
        });
    }

    /// Hides what stands before the content of each line of quotes and items.
    fn hide_prefixes(&mut self) {
        let containers: Vec<_> = self
            .elements
            .iter()
            .flatten()
            .filter(|element| matches!(element.kind, MarkKind::Quote | MarkKind::Item))
            .map(|element| (element.range.clone(), element.kind == MarkKind::Item))
            .collect();
        // Where a line of a container begins, or what follows its sign.
        let mut starts = vec![false; self.text.len() + 1];
        for (range, is_item) in containers {
            let mut first = range.start;
            while is_item && first < range.end && self.hidden[first] {
                first += 1;
            }
            starts[first] = true;
            for at in range {
                starts[at + 1] |= self.bytes()[at] == b'\n';
            }
        }
        for start in (0..self.text.len()).filter(|start| starts[*start]) {
            let mut at = start;
            while at < self.text.len()
                && !self.content[at]
                && !(at > start && starts[at])
                && (matches!(self.bytes()[at], b' ' | b'\t') || self.is_quote_sign(at))
            {
                self.hidden[at] = true;
                at += 1;
            }
        }
    }

    /// Makes text of the outermost blocks and of links that would show nothing.
    fn drop_empty(&mut self) {
        let mut block_end = 0;
        let mut empty: Vec<Range<usize>> = Vec::new();
        for element in self.elements.iter().flatten() {
            let range = element.range.clone();
            let is_outermost = element.kind.is_block() && range.start >= block_end;
            if is_outermost {
                block_end = range.end;
            } else if !matches!(element.kind, MarkKind::Link(_)) {
                continue;
            }
            let text = self.text[range.clone()].char_indices();
            let mut shown = text.filter(|(at, _)| !self.hidden[range.start + at]);
            if shown.all(|(_, c)| is_unseen(c)) {
                empty.push(range);
            }
        }
        for range in &empty {
            self.hidden[range.clone()].fill(false);
        }
        let mut dropped = vec![false; self.text.len()];
        for range in empty {
            dropped[range].fill(true);
        }
        for slot in &mut self.elements {
            slot.take_if(|element| dropped[element.range.start]);
        }
    }

    /// Hides the white space around each block, which has lines of its own.
    fn hide_around_blocks(&mut self) {
        let mut edges = vec![false; self.text.len() + 1];
        for element in self.elements.iter().flatten() {
            if element.kind.is_block() {
                edges[element.range.start] = true;
                edges[element.range.end] = true;
            }
        }
        let is_gap = |markup: &Self, at: usize| {
            let is_space = matches!(markup.bytes()[at], b' ' | b'\t' | b'\n');
            !markup.content[at] && (markup.hidden[at] || is_space)
        };
        let mut at = 0;
        while at < self.text.len() {
            let start = at;
            while at < self.text.len() && is_gap(self, at) {
                at += 1;
            }
            if start < at && edges[start..=at].contains(&true) {
                self.hide(start..at);
            }
            at = at.max(start + 1);
        }
    }

    /// The marks: the elements, and the hidden bytes between their edges.
    fn into_marks(self) -> Vec<Mark> {
        let mut edges = vec![false; self.text.len() + 1];
        let mut elements: Vec<Element> = self.elements.into_iter().flatten().collect();
        nest(&mut elements);
        for element in &elements {
            edges[element.range.start] = true;
            edges[element.range.end] = true;
        }
        let mut at = 0;
        while at < self.text.len() {
            let start = at;
            while at < self.text.len() && self.hidden[at] && (at == start || !edges[at]) {
                at += 1;
            }
            if start < at {
                elements.push(Element {
                    range: start..at,
                    kind: MarkKind::Syntax,
                });
            }
            at = at.max(start + 1);
        }
        elements.sort_by_key(|element| (element.range.start, Reverse(element.range.end)));
        let units = utf16_offsets(self.text);
        let marks = elements.into_iter().map(|element| Mark {
            start: units[element.range.start],
            end: units[element.range.end],
            kind: element.kind,
        });
        marks.collect()
    }
}

/// Sorts elements, and cuts each at the end of the one that it starts in.
fn nest(elements: &mut Vec<Element>) {
    elements.sort_by_key(|element| (element.range.start, Reverse(element.range.end)));
    let mut ends: Vec<usize> = Vec::new();
    for element in elements.iter_mut() {
        while ends.last().is_some_and(|end| *end <= element.range.start) {
            ends.pop();
        }
        if let Some(end) = ends.last() {
            element.range.end = element.range.end.min(*end);
        }
        ends.push(element.range.end);
    }
    elements.retain(|element| !element.range.is_empty());
}

/// The UTF-16 offset of each byte of a text, and of its end.
pub(super) fn utf16_offsets(text: &str) -> Vec<u32> {
    let mut offsets = Vec::with_capacity(text.len() + 1);
    let mut units = 0;
    for c in text.chars() {
        offsets.extend(std::iter::repeat_n(units, c.len_utf8()));
        units += c.len_utf16() as u32;
    }
    offsets.push(units);
    offsets
}

/// The events that start lists which are read as a date: a list with numbers starts right behind the
/// number of another one (`2026. 11. 30.`).
fn date_lists(text: &str, events: &[(Event<'_>, Range<usize>)]) -> HashSet<usize> {
    let mut dates = HashSet::new();
    let mut lists: Vec<(usize, bool)> = Vec::new();
    for (number, (event, range)) in events.iter().enumerate() {
        match event {
            Event::Start(Tag::List(first)) => {
                let parent = lists
                    .last()
                    .copied()
                    .filter(|(_, is_numbered)| *is_numbered);
                let before = number.checked_sub(1).map(|before| &events[before]);
                if let (Some((parent, _)), true, Some((Event::Start(Tag::Item), item))) =
                    (parent, first.is_some(), before)
                    && !text[item.start..range.start].contains('\n')
                {
                    dates.extend([parent, number]);
                }
                lists.push((number, first.is_some()));
            }
            Event::End(pulldown_cmark::TagEnd::List(_)) => {
                lists.pop();
            }
            _ => {}
        }
    }
    dates
}

/// Whether a link may lead to an address: `http` and `https` by the rule of addresses in the text,
/// `mailto` with one plain address.
fn is_target(target: &str) -> bool {
    if let Some(mailbox) = target.strip_prefix("mailto:") {
        let is_plain = |text: &str, others: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
        };
        let parts = mailbox.split_once('@');
        return parts.is_some_and(|(local, host)| is_plain(local, "._%+-") && is_plain(host, ".-"));
    }
    matches!(links::pieces(target).as_slice(), [Piece::Link(_)])
}

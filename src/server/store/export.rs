//! Exports the messages of a room as JSON or Markdown.
//!
//! For the operator, one read transaction covers the whole export, so the output is of one moment
//! while a server continues to write. [`ExportWriter`] writes the formats, also for participants.
//! Messages are read a page at a time.

use super::{
    StoreError,
    backup::refuse_existing,
    file::{FileError, NewFile, refuse_database},
    reader, schema, schema_check,
};
use crate::protocol::{ChatMessage, Epoch, MAX_HISTORY_PAGE, MessageId, RoomName, Seq};
use crate::server::disk;
use rusqlite::Connection;
use serde_json::json;
use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};
use time::OffsetDateTime;

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The messages as in docs/protocol.md, in one document
    Json,
    /// For people, by days; times are UTC
    Markdown,
}

/// ASCII punctuation that Markdown may interpret, each escaped by a backslash
/// (<https://spec.commonmark.org/0.31.2/#backslash-escapes>).
const MARKUP: &str = r"\`*_{}[]<>()#+-.!|~&=$";
/// Maximum length of a quote above a reply, in characters.
const QUOTED_CHARS: usize = 80;
/// Messages that the operator's export keeps for quotes. A reply to an older message has no quote.
const MAX_QUOTES: usize = 10_000;

/// Writes the messages of a room to `output`. Returns their number.
///
/// # Errors
/// Any [`FileError`]: there is no such database or room, or the output cannot be written.
pub fn export(
    database: &Path,
    room: &RoomName,
    format: Format,
    output: &mut impl Write,
) -> Result<u64, FileError> {
    if !database.exists() {
        return Err(FileError::NoDatabase(database.to_owned()));
    }
    let connection = schema::connect_to_read(database).map_err(FileError::database(database))?;
    let snapshot = connection.unchecked_transaction();
    let snapshot = snapshot.map_err(FileError::database(database))?;
    schema_check::check_schema(&snapshot).map_err(FileError::database(database))?;
    let head = reader::head(&snapshot, room).map_err(FileError::database(database))?;
    let Some((epoch, seq)) = head else {
        return Err(FileError::NoRoom(room.as_str().to_owned()));
    };
    let mut writer = ExportWriter::new(format, MAX_QUOTES);
    writer
        .begin(output, room, (&epoch, seq))
        .map_err(FileError::Output)?;
    let mut count = 0;
    let mut after = 0;
    loop {
        let page = page(&snapshot, room, after).map_err(FileError::database(database))?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        count += page.len() as u64;
        for message in &page {
            writer.add(output, message).map_err(FileError::Output)?;
        }
    }
    writer.end(output).map_err(FileError::Output)?;
    Ok(count)
}

/// Writes the messages of a room into a new file. Returns their number.
///
/// # Errors
/// Any [`FileError`]; no file was created or replaced.
pub fn export_to(
    database: &Path,
    room: &RoomName,
    format: Format,
    file: &Path,
    force: bool,
) -> Result<u64, FileError> {
    refuse_database(database, file)?;
    refuse_existing(file, force)?;
    let new = NewFile::beside(file)?;
    let output = File::create(new.path()).map_err(FileError::io(new.path()))?;
    let messages = export(database, room, format, &mut BufWriter::new(output))?;
    refuse_existing(file, force)?;
    new.persist()?;
    Ok(messages)
}

/// The messages after the `seq` `after`, at most one page.
fn page(
    connection: &Connection,
    room: &RoomName,
    after: u64,
) -> Result<Vec<ChatMessage>, StoreError> {
    reader::after(connection, room, after, MAX_HISTORY_PAGE)
}

/// Writes the messages of a room in one format, oldest first.
pub struct ExportWriter(FormatWriter);

/// The state of the output in one format.
enum FormatWriter {
    /// One JSON document.
    Json {
        /// Whether the next message is the first one, which has no comma before it.
        first: bool,
    },
    /// A Markdown text.
    Markdown(Markdown),
}

/// The state of a Markdown export.
struct Markdown {
    /// The day of the last message.
    day: Option<time::Date>,
    /// Author and start of the last messages, for quotes above replies.
    quotes: HashMap<MessageId, String>,
    /// The ids in `quotes`, oldest first.
    order: VecDeque<MessageId>,
    /// Most messages in `quotes`.
    max_quotes: usize,
}

impl ExportWriter {
    /// A writer that has written nothing. It keeps so many messages for quotes, each of at most 1 KiB.
    pub fn new(format: Format, max_quotes: usize) -> Self {
        Self(match format {
            Format::Json => FormatWriter::Json { first: true },
            Format::Markdown => FormatWriter::Markdown(Markdown::new(max_quotes)),
        })
    }

    /// Writes the beginning of the output, before the first message: the room, and epoch and `seq`
    /// of its log.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn begin(
        &self,
        output: &mut impl Write,
        room: &RoomName,
        (epoch, seq): (&Epoch, Seq),
    ) -> io::Result<()> {
        match &self.0 {
            FormatWriter::Json { .. } => {
                let title = json!({"room": room, "epoch": epoch, "seq": seq}).to_string();
                let open = title.strip_suffix('}').unwrap_or(&title);
                write!(output, "{open},\"messages\":[")
            }
            FormatWriter::Markdown(_) => writeln!(output, "# {}", escaped(room.as_str())),
        }
    }

    /// Writes a message.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn add(&mut self, output: &mut impl Write, message: &ChatMessage) -> io::Result<()> {
        match &mut self.0 {
            FormatWriter::Json { first } => {
                let comma = if *first { "\n" } else { ",\n" };
                *first = false;
                write!(output, "{comma}{}", serde_json::to_string(message)?)
            }
            FormatWriter::Markdown(markdown) => markdown.add(output, message),
        }
    }

    /// Writes the end of the output, and flushes it.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn end(&self, output: &mut impl Write) -> io::Result<()> {
        match &self.0 {
            FormatWriter::Json { .. } => writeln!(output, "\n]}}")?,
            FormatWriter::Markdown(_) => {}
        }
        output.flush()
    }
}

impl Markdown {
    /// The state before the first message.
    fn new(max_quotes: usize) -> Self {
        Self {
            day: None,
            quotes: HashMap::new(),
            order: VecDeque::new(),
            max_quotes,
        }
    }

    /// Writes a message, with a heading if its day differs from the message before.
    fn add(&mut self, output: &mut impl Write, message: &ChatMessage) -> io::Result<()> {
        let at = OffsetDateTime::from_unix_timestamp(message.at.div_euclid(1_000))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        if self.day.replace(at.date()) != Some(at.date()) {
            writeln!(output, "\n## {}", at.date())?;
        }
        let (nickname, time) = (escaped(message.from.nickname.as_str()), at.time());
        let (hour, minute) = (time.hour(), time.minute());
        let edited = message.edited_at.map_or("", |_| " (edited)");
        writeln!(output, "\n**{nickname}** {hour:02}:{minute:02}{edited}\n")?;
        if let Some(quoted) = message.reply_to.and_then(|id| self.quotes.get(&id)) {
            writeln!(output, "> {quoted}\n")?;
        }
        if message.is_deleted() {
            writeln!(output, "*deleted*")?;
        }
        let lines: Vec<_> = message.words().lines().map(escaped_line).collect();
        // Two spaces at the end of a line are a hard line break.
        writeln!(output, "{}", lines.join("  \n"))?;
        for file in &message.files {
            let (name, size) = (escaped(file.name.as_str()), disk::size(file.size));
            writeln!(output, "\n[{name}, {size}]")?;
        }
        for reaction in &message.reactions {
            let emoji = escaped(reaction.emoji.as_str());
            writeln!(output, "\n{emoji} {}", reaction.by.len())?;
        }
        self.add_quote(message, &nickname);
        Ok(())
    }

    /// Stores the quote of a message, and evicts the oldest one.
    fn add_quote(&mut self, message: &ChatMessage, nickname: &str) {
        if self.order.len() >= self.max_quotes
            && let Some(oldest) = self.order.pop_front()
        {
            self.quotes.remove(&oldest);
        }
        let line = message.words().lines().next().unwrap_or_default();
        let start: String = line.chars().take(QUOTED_CHARS).collect();
        let quote = format!("{nickname}: {}", escaped(&start));
        self.quotes.insert(message.id, quote);
        self.order.push_back(message.id);
    }
}

/// A line of a message, escaped. Spaces at its beginning become no-break spaces, because Markdown
/// takes four spaces for code.
fn escaped_line(line: &str) -> String {
    let text = line.trim_start_matches([' ', '\t']);
    let indent = line.len().saturating_sub(text.len());
    "\u{a0}".repeat(indent) + &escaped(text)
}

/// A text with every character of Markdown's syntax escaped.
fn escaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if MARKUP.contains(character) {
            plain.push('\\');
        }
        plain.push(character);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ChatDraft, ChatText, Nickname, ParticipantId, Person};

    #[test]
    fn text_of_messages_is_never_markup() {
        let said = "# not a title <b>*x*</b> [a](b) `c` 안녕";
        let plain = escaped(said);
        assert!(plain.starts_with(r"\# not a title \<b\>\*x\*"), "{plain}");
        assert_eq!(plain.replace('\\', ""), said);
        assert_eq!(
            escaped_line("==="),
            r"\=\=\=",
            "no heading of the line above"
        );
        assert_eq!(
            escaped_line("    a"),
            "\u{a0}\u{a0}\u{a0}\u{a0}a",
            "no code"
        );
    }

    /// A message of Ann whose id and text are this number.
    fn numbered_message(number: u64, reply_to: Option<MessageId>) -> ChatMessage {
        let id = ParticipantId::parse("p_ann").expect("an id");
        let nickname = Nickname::parse("Ann").expect("a nickname");
        let text = ChatText::parse(&format!("text {number}")).expect("a text");
        let message = MessageId(uuid::Uuid::from_u64_pair(0, number));
        let draft = ChatDraft {
            id: message,
            text,
            reply_to,
            files: Vec::new(),
            mentions: Vec::new(),
        };
        ChatMessage::new(number, Person::new(id, nickname), draft, 0)
    }

    #[test]
    fn a_reply_quotes_a_recent_message_of_an_export_of_any_length() {
        let mut markdown = Markdown::new(MAX_QUOTES);
        let all = MAX_QUOTES as u64 + 1;
        for number in 1..=all {
            let written = markdown.add(&mut io::sink(), &numbered_message(number, None));
            written.expect("written");
        }
        let mut quotes = |answered: u64| {
            let mut text = Vec::new();
            let answered = numbered_message(answered, None).id;
            let answer = numbered_message(all + 1, Some(answered));
            markdown.add(&mut text, &answer).expect("written");
            String::from_utf8(text)
                .expect("text")
                .contains("> Ann: text")
        };
        assert!(quotes(all), "the last one");
        assert!(!quotes(1), "one too many ago");
    }
}

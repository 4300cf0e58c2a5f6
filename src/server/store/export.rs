//! One room's conversation, for reading elsewhere: as JSON for programs, as Markdown for
//! people. Read at one moment, a page at a time, beside a server that goes on writing.

use super::{
    StoreError,
    backup::refuse_existing,
    file::{FileError, NewFile, refuse_database},
    reader, schema, schema_check,
};
use crate::protocol::{ChatMessage, MAX_HISTORY_PAGE, MessageId, RoomName};
use rusqlite::Connection;
use serde_json::json;
use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};
use time::OffsetDateTime;

/// How a conversation is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The messages as in docs/protocol.md, in one document
    Json,
    /// For people, by days; times are UTC
    Markdown,
}

/// Characters that mean something to Markdown wherever they stand
/// (<https://spec.commonmark.org/0.31.2/#backslash-escapes>).
const MARKUP: &str = r"\`*_{}[]<>()#+-.!|~&";
/// Characters of a message that are quoted where it is answered.
const QUOTED_CHARS: usize = 80;
/// Messages that an answer may refer back to. What is older is quoted by nothing.
const REMEMBERED: usize = 10_000;

/// Writes the conversation of a room; answers how many messages that were.
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
    let moment = connection.unchecked_transaction();
    let moment = moment.map_err(FileError::database(database))?;
    schema_check::check_schema(&moment).map_err(FileError::database(database))?;
    let head = reader::head(&moment, room).map_err(FileError::database(database))?;
    let Some((epoch, seq)) = head else {
        return Err(FileError::NoRoom(room.as_str().to_owned()));
    };
    let mut paper = match format {
        Format::Json => Paper::Json { first: true },
        Format::Markdown => Paper::Markdown(Markdown::default()),
    };
    let title = json!({"room": room, "epoch": epoch, "seq": seq});
    paper
        .begin(output, room, &title)
        .map_err(FileError::Output)?;
    let mut count = 0;
    let mut after = 0;
    loop {
        let page = page(&moment, room, after).map_err(FileError::database(database))?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        count += page.len() as u64;
        for message in &page {
            paper.add(output, message).map_err(FileError::Output)?;
        }
    }
    paper.end(output).map_err(FileError::Output)?;
    Ok(count)
}

/// Writes the conversation of a room into a file of its own; answers how many messages that
/// were.
///
/// # Errors
/// Any [`FileError`]; no file was made or replaced.
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
    new.put()?;
    Ok(messages)
}

/// The next messages.
fn page(
    connection: &Connection,
    room: &RoomName,
    after: u64,
) -> Result<Vec<ChatMessage>, StoreError> {
    reader::after(connection, room, after, MAX_HISTORY_PAGE)
}

/// What is written on.
enum Paper {
    /// One JSON document.
    Json {
        /// Whether no message is in it yet.
        first: bool,
    },
    /// A Markdown text.
    Markdown(Markdown),
}

/// Where one is in a text.
#[derive(Default)]
struct Markdown {
    /// The day of the last message.
    day: Option<time::Date>,
    /// Who said what, for answers to it: the last [`REMEMBERED`] messages.
    said: HashMap<MessageId, String>,
    /// Their ids, oldest first.
    order: VecDeque<MessageId>,
}

impl Paper {
    /// Writes what comes before the first message.
    fn begin(
        &self,
        output: &mut impl Write,
        room: &RoomName,
        title: &serde_json::Value,
    ) -> io::Result<()> {
        match self {
            Self::Json { .. } => {
                let title = title.to_string();
                let open = title.strip_suffix('}').unwrap_or(&title);
                write!(output, "{open},\"messages\":[")
            }
            Self::Markdown(_) => writeln!(output, "# {}", escaped(room.as_str())),
        }
    }

    /// Writes a message.
    fn add(&mut self, output: &mut impl Write, message: &ChatMessage) -> io::Result<()> {
        match self {
            Self::Json { first } => {
                let comma = if *first { "\n" } else { ",\n" };
                *first = false;
                write!(output, "{comma}{}", serde_json::to_string(message)?)
            }
            Self::Markdown(markdown) => markdown.add(output, message),
        }
    }

    /// Writes what comes after the last message.
    fn end(&self, output: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Json { .. } => writeln!(output, "\n]}}")?,
            Self::Markdown(_) => {}
        }
        output.flush()
    }
}

impl Markdown {
    /// Writes a message under its day.
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
        if let Some(quoted) = message.reply_to.and_then(|id| self.said.get(&id)) {
            writeln!(output, "> {quoted}\n")?;
        }
        if message.text.is_none() {
            writeln!(output, "*deleted*")?;
        }
        let lines: Vec<_> = message.words().lines().map(escaped).collect();
        // Two spaces at the end of a line keep the break.
        writeln!(output, "{}", lines.join("  \n"))?;
        for reaction in &message.reactions {
            writeln!(
                output,
                "\n{} {}",
                reaction.emoji.as_str(),
                reaction.by.len()
            )?;
        }
        self.remember(message, &nickname);
        Ok(())
    }

    /// Remembers a message as answers will quote it.
    fn remember(&mut self, message: &ChatMessage, nickname: &str) {
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.said.remove(&oldest);
        }
        let line = message.words().lines().next().unwrap_or_default();
        let start: String = line.chars().take(QUOTED_CHARS).collect();
        let quote = format!("{nickname}: {}", escaped(&start));
        self.said.insert(message.id, quote);
        self.order.push_back(message.id);
    }
}

/// A text that Markdown takes for nothing but a text.
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
    fn what_somebody_said_is_no_markup() {
        let said = "# not a title <b>*x*</b> [a](b) `c` 안녕";
        let plain = escaped(said);
        assert!(plain.starts_with(r"\# not a title \<b\>\*x\*"), "{plain}");
        assert_eq!(plain.replace('\\', ""), said);
    }

    /// A message by somebody, its number being its text.
    fn said(number: u64, reply_to: Option<MessageId>) -> ChatMessage {
        let id = ParticipantId::parse("p_ann").expect("an id");
        let nickname = Nickname::parse("Ann").expect("a nickname");
        let text = ChatText::parse(&format!("text {number}")).expect("a text");
        let message = MessageId(uuid::Uuid::from_u64_pair(0, number));
        let draft = ChatDraft {
            id: message,
            text,
            reply_to,
        };
        ChatMessage::new(number, Person::new(id, nickname), draft, 0)
    }

    #[test]
    fn an_answer_quotes_what_is_recent_however_long_the_conversation() {
        let mut markdown = Markdown::default();
        let all = REMEMBERED as u64 + 1;
        for number in 1..=all {
            let written = markdown.add(&mut io::sink(), &said(number, None));
            written.expect("written");
        }
        let mut quotes = |answered: u64| {
            let mut text = Vec::new();
            let answered = said(answered, None).id;
            let answer = said(all + 1, Some(answered));
            markdown.add(&mut text, &answer).expect("written");
            String::from_utf8(text)
                .expect("text")
                .contains("> Ann: text")
        };
        assert!(quotes(all), "the last one");
        assert!(!quotes(1), "one too many ago");
    }
}

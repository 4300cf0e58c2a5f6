//! Searching: an FTS5 index of pairs of letters chooses candidates, their text decides.
//!
//! Korean and many other scripts put no space where a searcher's word ends, and words of
//! two syllables are common, so the index holds the pairs of neighbouring letters of every
//! word ([`pairs`]): a message can hold a word only if it holds all pairs of the word.
//! SQLite's own trigram tokenizer would need three letters. The index holds no positions,
//! which makes it a quarter as large; so each candidate's text is read and compared
//! ([`holds_all`]). A pair is stored as a number of 16 bits: whatever people write, the
//! index has at most 65,536 terms, and two pairs that share a number cost a comparison.
//!
//! The index follows the messages, some at a time ([`index_next`]), because keeping up with
//! each of them would cost as much as all the rest of storing it. What is in it is known by
//! the newest row it holds, as the numbers of rows only grow. Messages that are not in it
//! yet are read one by one ([`scan`]), and so is the whole room where a query has no pair:
//! a single letter. Every search runs under a deadline ([`super::search_pool`]).

use super::{Page, StoreError, cleanup, reader, schema::read_meta};
use crate::protocol::{RoomName, Seq, text::composed};
use rusqlite::{
    Connection, OptionalExtension, Transaction, TransactionBehavior, params, types::ValueRef,
};
use std::borrow::Cow;

/// Characters of a query that count; the rest is ignored.
const MAX_QUERY_CHARS: usize = 100;
/// Words of a query that count; the rest is ignored. 5: more words than people type.
const MAX_QUERY_WORDS: usize = 5;
/// Pairs of a query that the index is asked for; the text is compared with all of it. 16:
/// each costs some ten microseconds, and the first few leave few candidates.
const MAX_QUERY_PAIRS: usize = 16;

/// Candidates of the index, newest first. `CROSS JOIN` keeps the order of the tables: the
/// index is walked once, backwards, and each row it names is read by its number. Within a
/// room the order of rows is the order of `seq`: both only grow, and both are given to a
/// message when it is stored.
const CANDIDATES: &str = "FROM words CROSS JOIN messages ON messages.id = words.rowid
     WHERE words MATCH ?1 AND words.rowid <= ?2 AND messages.room_id = ?3
     ORDER BY words.rowid DESC";

/// Whether lower case is the character itself, and of no other: digits, and the scripts of
/// East Asia. A test compares this with Unicode's tables, which take five times as long.
fn has_no_case(c: char) -> bool {
    matches!(c, '0'..='9' | '\u{2e80}'..='\u{a63f}' | '\u{ac00}'..='\u{d7a3}')
}

/// A text in lower case. Both of the Greek small sigmas become one, wherever they stand.
fn lower_case(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut lower = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_ascii() => lower.push(c.to_ascii_lowercase()),
            c if has_no_case(c) => lower.push(c),
            'ς' => lower.push('σ'),
            c => lower.extend(c.to_lowercase()),
        }
    }
    lower
}

/// The words of a text: lower case, cut at everything that is no letter or digit. In normal
/// form NFC, also where the text was stored before texts were put into that form.
fn words(text: &str) -> Vec<Vec<char>> {
    let lower = lower_case(&composed(text));
    let words = lower.split(|c: char| !c.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(|word| word.chars().collect()).collect()
}

/// The pairs of neighbouring letters of these words as terms of the index, each once.
fn pairs(words: &[Vec<char>]) -> Vec<String> {
    let pairs = words.iter().flat_map(|word| word.windows(2));
    let mut numbers: Vec<u64> = pairs.map(|pair| number(pair[0], pair[1])).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.iter().map(|pair| format!("{pair:x}")).collect()
}

/// The number of a pair, 16 bits: the upper bits of a product with the golden ratio, which
/// spreads neighbouring code points. It is part of the database, so it must not change.
fn number(first: char, second: char) -> u64 {
    let both = u64::from(u32::from(first)) << 32 | u64::from(u32::from(second));
    both.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48
}

/// The term by which the index knows the messages of a room; no number of a pair has its
/// letters.
fn room_term(room_id: i64) -> String {
    format!("room{room_id}")
}

/// What somebody looks for: at most [`MAX_QUERY_WORDS`] words, each anywhere in the text
/// as a part of a word.
struct Query(Vec<Vec<char>>);

impl Query {
    /// Reads what was typed. `None` if there is no letter or digit in it.
    fn parse(typed: &str) -> Option<Self> {
        let short: String = typed.chars().take(MAX_QUERY_CHARS).collect();
        let mut words = words(&short);
        words.truncate(MAX_QUERY_WORDS);
        (!words.is_empty()).then_some(Self(words))
    }

    /// The query as FTS5 reads it. `None` if there is no pair of letters in it.
    fn expression(&self, room_id: i64) -> Option<String> {
        let mut pairs = pairs(&self.0);
        pairs.truncate(MAX_QUERY_PAIRS);
        let terms = pairs.iter().map(|pair| format!(" AND \"{pair}\""));
        let terms: String = terms.collect();
        (!terms.is_empty()).then(|| format!("\"{}\"{terms}", room_term(room_id)))
    }

    /// The words to compare texts with.
    fn needles(&self) -> Vec<Needle> {
        let needle = |word: &Vec<char>| Needle {
            word: word.iter().collect(),
            has_no_case: word.iter().copied().all(has_no_case),
        };
        self.0.iter().map(needle).collect()
    }
}

/// A word to compare texts with. It has only letters and digits, so one that is somewhere in
/// a text is inside one word of it.
struct Needle {
    /// In lower case.
    word: String,
    /// Whether a text is compared as it is.
    has_no_case: bool,
}

/// Whether a text holds every one of these words, as it is or in normal form NFC.
fn holds_all(text: &str, needles: &[Needle]) -> bool {
    if is_found_in(text, needles) {
        return true;
    }
    match composed(text) {
        Cow::Owned(text) => is_found_in(&text, needles),
        Cow::Borrowed(_) => false,
    }
}

/// Whether a text holds every one of these words as it is.
fn is_found_in(text: &str, needles: &[Needle]) -> bool {
    let mut lower = None;
    needles.iter().all(|needle| match needle.has_no_case {
        true => text.contains(&needle.word),
        false => lower
            .get_or_insert_with(|| lower_case(text))
            .contains(&needle.word),
    })
}

/// Collects the messages that hold every word of a query.
struct Matches {
    /// The words of the query.
    needles: Vec<Needle>,
    /// Messages found so far, newest first.
    rows: Vec<reader::MessageRow>,
    /// How many are wanted.
    wanted: usize,
}

impl Matches {
    /// Takes a row of [`reader::COLUMNS`] if its text holds every word. `text_column` is the index
    /// of its `text`, resolved once for all rows.
    fn push_if_match(
        &mut self,
        row: &rusqlite::Row<'_>,
        text_column: usize,
    ) -> rusqlite::Result<()> {
        let text = match row.get_ref(text_column)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes),
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => return Ok(()),
        };
        if holds_all(&text, &self.needles) {
            self.rows.push(reader::message(row)?);
        }
        Ok(())
    }

    /// Whether there are as many as are wanted.
    fn are_enough(&self) -> bool {
        self.rows.len() >= self.wanted
    }
}

/// The newest messages of a room that hold every word of `query`, before `before`, newest
/// first.
pub fn search(
    connection: &Connection,
    room: &RoomName,
    query: &str,
    before: Option<Seq>,
    limit: u32,
) -> Result<Page, StoreError> {
    let Some(query) = Query::parse(query) else {
        return Ok(Page::default());
    };
    // Index and messages as of the same moment.
    let snapshot = connection.unchecked_transaction()?;
    let Some(room_id) = reader::room_id(&snapshot, room)? else {
        return Ok(Page::default());
    };
    let mut matches = Matches {
        needles: query.needles(),
        rows: Vec::new(),
        // One more than asked for tells whether there are older ones.
        wanted: limit as usize + 1,
    };
    match query.expression(room_id) {
        None => scan(&snapshot, room_id, before, 0, &mut matches)?,
        Some(expression) => {
            let indexed = newest_indexed(&snapshot)?;
            scan(&snapshot, room_id, before, indexed, &mut matches)?;
            let newest = newest_before(&snapshot, room_id, before)?.min(indexed);
            search_index(&snapshot, &expression, room_id, newest, &mut matches)?;
        }
    }
    reader::with_reactions(&snapshot, matches.rows, limit)
}

/// Compares the messages of a room with the query one by one, newest first, down to the
/// row `indexed`, which is left to the index.
fn scan(
    connection: &Connection,
    room_id: i64,
    before: Option<Seq>,
    indexed: i64,
    matches: &mut Matches,
) -> Result<(), StoreError> {
    let columns = reader::COLUMNS;
    let query =
        format!("SELECT {columns} FROM messages WHERE room_id = ?1 AND seq < ?2 ORDER BY seq DESC");
    let mut select = connection.prepare_cached(&query)?;
    let (id, text) = (select.column_index("id")?, select.column_index("text")?);
    let mut rows = select.query(params![room_id, reader::seq_before(before)])?;
    while !matches.are_enough()
        && let Some(row) = rows.next()?
        && row.get::<_, i64>(id)? > indexed
    {
        matches.push_if_match(row, text)?;
    }
    Ok(())
}

/// Compares the messages that the index names with the query, from the row `newest` down.
fn search_index(
    connection: &Connection,
    expression: &str,
    room_id: i64,
    newest: i64,
    matches: &mut Matches,
) -> Result<(), StoreError> {
    let query = format!("SELECT {} {CANDIDATES}", reader::COLUMNS);
    let mut select = connection.prepare_cached(&query)?;
    let text = select.column_index("text")?;
    let mut rows = select.query(params![expression, newest, room_id])?;
    while !matches.are_enough()
        && let Some(row) = rows.next()?
    {
        matches.push_if_match(row, text)?;
    }
    Ok(())
}

/// The row of the newest message of a room before `before`; 0 if there is none.
fn newest_before(
    connection: &Connection,
    room_id: i64,
    before: Option<Seq>,
) -> Result<i64, StoreError> {
    let query = "SELECT id FROM messages WHERE room_id = ?1 AND seq < ?2
                 ORDER BY seq DESC LIMIT 1";
    let mut select = connection.prepare_cached(query)?;
    let row = select.query_row(params![room_id, reader::seq_before(before)], |row| {
        row.get(0)
    });
    Ok(row.optional()?.unwrap_or(0))
}

/// The newest row that is in the index.
fn newest_indexed(connection: &Connection) -> Result<i64, StoreError> {
    let query = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'indexed'";
    let newest = connection
        .prepare_cached(query)?
        .query_row([], |row| row.get(0));
    Ok(newest.optional()?.unwrap_or(0))
}

/// How many rows the index is behind, at most: numbers of deleted rows count, too.
pub fn behind(connection: &Connection) -> Result<usize, StoreError> {
    let query = "SELECT coalesce(max(id), 0) FROM messages";
    let newest: i64 = connection.query_row(query, [], |row| row.get(0))?;
    let behind = newest.saturating_sub(newest_indexed(connection)?);
    Ok(usize::try_from(behind).unwrap_or(0))
}

/// Replaces what the index holds of a message after its text has changed. A message that
/// is not in the index yet comes into it later, with the text it has then.
pub fn reindex(
    transaction: &Transaction<'_>,
    room_id: i64,
    id: i64,
    text: &str,
) -> Result<(), StoreError> {
    cleanup::request(transaction)?;
    if id > newest_indexed(transaction)? {
        return Ok(());
    }
    let delete = "DELETE FROM words WHERE rowid = ?1";
    transaction.prepare_cached(delete)?.execute([id])?;
    index(transaction, room_id, id, text)
}

/// Puts a message into the index. One without a pair of letters is found by [`scan`] only.
fn index(
    transaction: &Transaction<'_>,
    room_id: i64,
    id: i64,
    text: &str,
) -> Result<(), StoreError> {
    let pairs = pairs(&words(text));
    if !pairs.is_empty() {
        let terms = format!("{} {}", room_term(room_id), pairs.join(" "));
        transaction
            .prepare_cached("INSERT INTO words (rowid, pairs) VALUES (?1, ?2)")?
            .execute(params![id, terms])?;
    }
    Ok(())
}

/// Puts the next messages into the index, at most `limit`, oldest first. Returns how many
/// these were.
pub fn index_next(connection: &mut Connection, limit: usize) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut newest = newest_indexed(&transaction)?;
    let query = "SELECT id, room_id, text FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2";
    let mut count = 0;
    {
        let mut select = transaction.prepare_cached(query)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = select.query(params![newest, limit])?;
        while let Some(row) = rows.next()? {
            let text = reader::stored_text(row, "text")?;
            newest = row.get("id")?;
            index(&transaction, row.get("room_id")?, newest, &text)?;
            count += 1;
        }
    }
    if count > 0 {
        let note = "INSERT OR REPLACE INTO meta (key, value) VALUES ('indexed', ?1)";
        transaction.prepare_cached(note)?.execute([newest])?;
    }
    transaction.commit()?;
    Ok(count)
}

/// Messages that are looked at in one step of [`renormalize_next`]. 500: a few milliseconds.
const COMPOSED_AT_ONCE: usize = 500;
/// Messages that are put into the index anew in one step of [`renormalize_next`], which no other
/// write comes between. 64: the longest ones take some ten milliseconds.
const REWRITTEN_AT_ONCE: usize = 64;

/// Puts those messages into the index anew that were stored, and indexed, before texts were put
/// into normal form NFC; looks at some of them, oldest first. Answers whether there are more.
pub fn renormalize_next(connection: &mut Connection) -> Result<bool, StoreError> {
    let Some((from, to)) = unnormalized(connection)? else {
        return Ok(false);
    };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let query = "SELECT id, room_id, text FROM messages WHERE id > ?1 AND id <= ?2
                 ORDER BY id LIMIT ?3";
    let (mut count, mut rewritten, mut newest) = (0, 0, from);
    {
        let mut select = transaction.prepare_cached(query)?;
        let limit = i64::try_from(COMPOSED_AT_ONCE).unwrap_or(i64::MAX);
        let mut rows = select.query(params![from, to, limit])?;
        while rewritten < REWRITTEN_AT_ONCE
            && let Some(row) = rows.next()?
        {
            let text = reader::stored_text(row, "text")?;
            newest = row.get("id")?;
            count += 1;
            if matches!(composed(&text), Cow::Owned(_)) {
                let delete = "DELETE FROM words WHERE rowid = ?1";
                transaction.prepare_cached(delete)?.execute([newest])?;
                index(&transaction, row.get("room_id")?, newest, &text)?;
                rewritten += 1;
            }
        }
    }
    let more = count == COMPOSED_AT_ONCE || rewritten == REWRITTEN_AT_ONCE;
    match more {
        true => transaction.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES ('composed', ?1)",
            [newest],
        )?,
        false => transaction.execute(
            "DELETE FROM meta WHERE key IN ('composed', 'uncomposed')",
            [],
        )?,
    };
    transaction.commit()?;
    Ok(more)
}

/// The rows that [`renormalize_next`] has not looked at: those after the first number, up to the
/// second. Nothing where there are none.
pub fn unnormalized(connection: &Connection) -> Result<Option<(i64, i64)>, StoreError> {
    let number = |key| {
        let value = read_meta(connection, key)?;
        Ok::<_, StoreError>(value.and_then(|value| value.parse::<i64>().ok()))
    };
    let to = number("uncomposed")?;
    let from = number("composed")?.unwrap_or(0);
    Ok(to.map(|to| (from, to)))
}

/// Notes that the newest rows are gone: their numbers may be given again.
pub fn forget_newest(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let query = "UPDATE meta SET value = (SELECT coalesce(max(id), 0) FROM messages)
         WHERE key = 'indexed'
         AND CAST(value AS INTEGER) > (SELECT coalesce(max(id), 0) FROM messages)";
    transaction.prepare_cached(query)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_each_pair_of_letters_once_and_no_pair_reaches_over_a_space() {
        let of = |text: &str| pairs(&words(text));
        assert_eq!(of("Hey, HEY ye"), of("hey yeye"));
        assert_eq!(of("회의록").len(), 2);
        assert_eq!(of("a b, c"), [""; 0]);
        assert_ne!(of("ab"), of("ba"));
    }

    #[test]
    fn characters_without_case_are_the_lower_case_of_themselves_only() {
        for c in '\0'..=char::MAX {
            let mut lower = c.to_lowercase();
            match has_no_case(c) {
                true => assert!(lower.eq([c]), "{c:?}"),
                false => assert!(!lower.any(has_no_case), "{c:?}"),
            }
        }
        assert_eq!(lower_case("ΟΔΟΣ 가A Ćİ"), lower_case("οδος 가a ći̇"));
    }

    #[test]
    fn a_query_asks_the_index_for_pairs_and_holds_at_most_five_words() {
        let parse = |typed| Query::parse(typed).expect("a word");
        let pair = format!("{:x}", number('회', '의'));
        let expression = format!("\"room7\" AND \"{pair}\"");
        assert_eq!(parse("회의").expression(7), Some(expression.clone()));
        assert_eq!(parse("x 회의").expression(7), Some(expression));
        assert_eq!(parse("a B c").expression(7), None);
        let needles = parse("a B ccc dd e f g").needles();
        let words: Vec<_> = needles.iter().map(|needle| &needle.word).collect();
        assert_eq!(words, ["a", "b", "ccc", "dd", "e"]);
        assert!(Query::parse(" \"*() ").is_none());
        let long = "abcdefghijklmnopqrstuvwxyz".repeat(9);
        let expression = parse(&long).expression(7).expect("pairs");
        assert_eq!(expression.matches(" AND ").count(), MAX_QUERY_PAIRS);
    }

    #[test]
    fn the_index_drives_the_query_and_nothing_is_sorted() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("noom.db");
        let mut connection = super::super::schema::connect(&path).expect("opens");
        super::super::schema::migrate(&mut connection).expect("migrates");
        let plan = |query: &str, values: &[&dyn rusqlite::ToSql]| {
            let mut explain = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {query}"))
                .expect("prepares");
            let steps = explain.query_map(values, |row| row.get::<_, String>("detail"));
            steps
                .expect("explains")
                .collect::<Result<Vec<_>, _>>()
                .expect("steps")
        };
        let query = format!("SELECT {} {CANDIDATES}", reader::COLUMNS);
        let steps = plan(&query, &[&"\"a\"", &1_i64, &1_i64]);
        let [first, second] = steps.as_slice() else {
            panic!("{steps:?}");
        };
        assert!(
            first.starts_with("SCAN words VIRTUAL TABLE INDEX"),
            "{steps:?}"
        );
        // M: a MATCH; <: the upper bound of the row.
        assert!(first.contains('M') && first.contains('<'), "{steps:?}");
        assert_eq!(
            second, "SEARCH messages USING INTEGER PRIMARY KEY (rowid=?)",
            "{steps:?}"
        );
    }
}

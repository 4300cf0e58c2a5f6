//! Full-text search: an FTS5 index of bigrams selects candidates, and their text decides.
//!
//! The index holds the bigrams of every word ([`pairs`]), that is, its pairs of neighbouring
//! letters. A message contains a word only if it contains all bigrams of the word. Korean and many
//! other scripts put no space at the end of a word, and words of two syllables are common, so
//! SQLite's own trigram tokenizer does not suffice: it needs three letters. The index has no
//! positions, which makes it a quarter as large, so the text of each candidate is compared
//! ([`contains_all`]). A bigram is hashed to 16 bits, so the index has at most 65,536 terms; a
//! collision costs one comparison.
//!
//! Messages are indexed later and in batches ([`index_next`]), because indexing each at once would
//! double the cost of storing it. Row ids only grow, so the newest indexed row id says which
//! messages are indexed. Newer messages are scanned ([`scan`]). So is the whole room if the query
//! has no bigram, such as a single letter. Every search has a deadline ([`super::search_pool`]).

use super::{Page, StoreError, cleanup, reader, schema::read_meta};
use crate::protocol::{RoomName, Seq, text::composed};
use rusqlite::{
    Connection, OptionalExtension, Transaction, TransactionBehavior, params, types::ValueRef,
};
use std::borrow::Cow;

/// Maximum length of a query in characters; the rest is ignored.
const MAX_QUERY_CHARS: usize = 100;
/// Maximum number of words of a query; the rest is ignored. 5: people rarely type more.
const MAX_QUERY_WORDS: usize = 5;
/// Maximum number of bigrams in the index query. 16: each costs some ten microseconds, and the
/// first few leave few candidates, whose text is compared with all words.
const MAX_QUERY_PAIRS: usize = 16;

/// Candidates of the index, newest first. `CROSS JOIN` keeps the order of the tables: SQLite scans
/// the index once, backwards, and reads each message by its row id. Within a room, row ids are in
/// the order of `seq`: both are assigned when a message is stored, and both only grow.
const CANDIDATES: &str = "FROM words CROSS JOIN messages ON messages.id = words.rowid
     WHERE words MATCH ?1 AND words.rowid <= ?2 AND messages.room_id = ?3
     ORDER BY words.rowid DESC";

/// What a message is found by: its text and the names of its files.
const WORDS: &str = "CASE WHEN messages.files > 0 THEN messages.text || coalesce(
        (SELECT char(10) || group_concat(name, char(10)) FROM files
         WHERE message_id = messages.id), '')
     ELSE messages.text END";

/// Whether a character is its own lower case and the lower case of no other: digits, and the
/// scripts of East Asia. Five times as fast as Unicode's tables, with which a test compares it.
fn has_no_case(c: char) -> bool {
    matches!(c, '0'..='9' | '\u{2e80}'..='\u{a63f}' | '\u{ac00}'..='\u{d7a3}')
}

/// A text in lower case. The final sigma of Greek becomes the other small sigma.
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

/// The words of a text, in lower case and in normal form NFC. A word consists of letters and
/// digits. Texts of older versions are stored in other normal forms, so NFC is applied here.
fn words(text: &str) -> Vec<Vec<char>> {
    let lower = lower_case(&composed(text));
    let words = lower.split(|c: char| !c.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(|word| word.chars().collect()).collect()
}

/// The bigrams of these words as terms of the index, without duplicates.
fn pairs(words: &[Vec<char>]) -> Vec<String> {
    let pairs = words.iter().flat_map(|word| word.windows(2));
    let mut numbers: Vec<u64> = pairs.map(|pair| pair_hash(pair[0], pair[1])).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.iter().map(|pair| format!("{pair:x}")).collect()
}

/// The 16-bit hash of a bigram: the upper bits of a product with the golden ratio, which spreads
/// neighbouring code points. The database stores the hashes, so this function must not change.
fn pair_hash(first: char, second: char) -> u64 {
    let both = u64::from(u32::from(first)) << 32 | u64::from(u32::from(second));
    both.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48
}

/// The term of the index that all messages of a room have. No hash contains its letters.
fn room_term(room_id: i64) -> String {
    format!("room{room_id}")
}

/// A parsed query: at most [`MAX_QUERY_WORDS`] words. Each may be a part of a word of the text.
struct Query(Vec<Vec<char>>);

impl Query {
    /// Parses the typed text. `None` if it has no letter or digit.
    fn parse(typed: &str) -> Option<Self> {
        let short: String = typed.chars().take(MAX_QUERY_CHARS).collect();
        let mut words = words(&short);
        words.truncate(MAX_QUERY_WORDS);
        (!words.is_empty()).then_some(Self(words))
    }

    /// The query in the syntax of FTS5. `None` if it has no bigram.
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

/// A word to compare texts with. It has letters and digits only, so a match lies within one word
/// of the text.
struct Needle {
    /// The word in lower case.
    word: String,
    /// Whether the text need not be converted to lower case to find the word.
    has_no_case: bool,
}

/// Whether a text contains every needle, unchanged or in normal form NFC.
fn contains_all(text: &str, needles: &[Needle]) -> bool {
    if is_found_in(text, needles) {
        return true;
    }
    match composed(text) {
        Cow::Owned(text) => is_found_in(&text, needles),
        Cow::Borrowed(_) => false,
    }
}

/// Whether a text contains every needle, without normalising the text.
fn is_found_in(text: &str, needles: &[Needle]) -> bool {
    let mut lower = None;
    needles.iter().all(|needle| match needle.has_no_case {
        true => text.contains(&needle.word),
        false => lower
            .get_or_insert_with(|| lower_case(text))
            .contains(&needle.word),
    })
}

/// Collects the messages that contain every word of a query.
struct Matches {
    /// The words of the query.
    needles: Vec<Needle>,
    /// Messages found so far, newest first.
    rows: Vec<reader::MessageRow>,
    /// The number of messages at which the search stops.
    wanted: usize,
}

impl Matches {
    /// Adds a row of [`reader::COLUMNS`] if its words contain every word of the query. `words_column`
    /// is the index of the column with [`WORDS`], resolved once for all rows.
    fn push_if_match(
        &mut self,
        row: &rusqlite::Row<'_>,
        words_column: usize,
    ) -> rusqlite::Result<()> {
        let text = match row.get_ref(words_column)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes),
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => return Ok(()),
        };
        if contains_all(&text, &self.needles) {
            self.rows.push(reader::message(row)?);
        }
        Ok(())
    }

    /// Whether the wanted number of messages is found.
    fn is_complete(&self) -> bool {
        self.rows.len() >= self.wanted
    }
}

/// The newest messages of a room before `before` that contain every word of `query`; newest first.
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
    // One read transaction, so that index and messages are of the same moment.
    let snapshot = connection.unchecked_transaction()?;
    let Some(room_id) = reader::room_id(&snapshot, room)? else {
        return Ok(Page::default());
    };
    let mut matches = Matches {
        needles: query.needles(),
        rows: Vec::new(),
        // One more than requested shows whether there are older ones.
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
    reader::complete(&snapshot, matches.rows, limit)
}

/// Compares the messages of a room that are newer than the row `indexed` with the query; newest
/// first.
fn scan(
    connection: &Connection,
    room_id: i64,
    before: Option<Seq>,
    indexed: i64,
    matches: &mut Matches,
) -> Result<(), StoreError> {
    let columns = reader::COLUMNS;
    let query = format!(
        "SELECT {columns}, {WORDS} AS words FROM messages
         WHERE room_id = ?1 AND seq < ?2 ORDER BY seq DESC"
    );
    let mut select = connection.prepare_cached(&query)?;
    let (id, text) = (select.column_index("id")?, select.column_index("words")?);
    let mut rows = select.query(params![room_id, reader::seq_before(before)])?;
    while !matches.is_complete()
        && let Some(row) = rows.next()?
        && row.get::<_, i64>(id)? > indexed
    {
        matches.push_if_match(row, text)?;
    }
    Ok(())
}

/// Compares the candidates of the index with the query, from the row `newest` down.
fn search_index(
    connection: &Connection,
    expression: &str,
    room_id: i64,
    newest: i64,
    matches: &mut Matches,
) -> Result<(), StoreError> {
    let query = format!("SELECT {}, {WORDS} AS words {CANDIDATES}", reader::COLUMNS);
    let mut select = connection.prepare_cached(&query)?;
    let text = select.column_index("words")?;
    let mut rows = select.query(params![expression, newest, room_id])?;
    while !matches.is_complete()
        && let Some(row) = rows.next()?
    {
        matches.push_if_match(row, text)?;
    }
    Ok(())
}

/// The row id of the newest message of a room before `before`; 0 if there is none.
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

/// The newest row id that was indexed; 0 if none was.
fn newest_indexed(connection: &Connection) -> Result<i64, StoreError> {
    let query = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'indexed'";
    let newest = connection
        .prepare_cached(query)?
        .query_row([], |row| row.get(0));
    Ok(newest.optional()?.unwrap_or(0))
}

/// An upper bound of the number of messages that are not indexed yet: deleted rows count, too.
pub fn max_unindexed(connection: &Connection) -> Result<usize, StoreError> {
    let query = "SELECT coalesce(max(id), 0) FROM messages";
    let newest: i64 = connection.query_row(query, [], |row| row.get(0))?;
    let unindexed = newest.saturating_sub(newest_indexed(connection)?);
    Ok(usize::try_from(unindexed).unwrap_or(0))
}

/// Updates the index after the text or the files of a message have changed. A message that is not
/// indexed yet needs no update.
pub fn reindex(transaction: &Transaction<'_>, room_id: i64, id: i64) -> Result<(), StoreError> {
    cleanup::request(transaction)?;
    if id > newest_indexed(transaction)? {
        return Ok(());
    }
    let delete = "DELETE FROM words WHERE rowid = ?1";
    transaction.prepare_cached(delete)?.execute([id])?;
    let query = format!("SELECT {WORDS} AS words FROM messages WHERE id = ?1");
    let mut select = transaction.prepare_cached(&query)?;
    let words = select.query_row([id], |row| reader::stored_text(row, "words"))?;
    index(transaction, room_id, id, &words)
}

/// Indexes a message. A message without a bigram is not inserted; only [`scan`] finds it.
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

/// Indexes the next messages, at most `limit`, oldest first. Returns their number.
pub fn index_next(connection: &mut Connection, limit: usize) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut newest = newest_indexed(&transaction)?;
    let query = format!(
        "SELECT id, room_id, {WORDS} AS words FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2"
    );
    let mut count = 0;
    {
        let mut select = transaction.prepare_cached(&query)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = select.query(params![newest, limit])?;
        while let Some(row) = rows.next()? {
            let text = reader::stored_text(row, "words")?;
            newest = row.get("id")?;
            index(&transaction, row.get("room_id")?, newest, &text)?;
            count += 1;
        }
    }
    if count > 0 {
        let update = "INSERT OR REPLACE INTO meta (key, value) VALUES ('indexed', ?1)";
        transaction.prepare_cached(update)?.execute([newest])?;
    }
    transaction.commit()?;
    Ok(count)
}

/// Messages read in one step of [`renormalize_next`]. 500: a few milliseconds.
const RENORMALIZE_READS: usize = 500;
/// Messages indexed again in one step of [`renormalize_next`], while other writes wait. 64: the
/// longest ones take some ten milliseconds.
const RENORMALIZE_WRITES: usize = 64;

/// Indexes messages of older versions again, which indexed texts without normal form NFC. Reads
/// some of them, oldest first. Returns whether there are more.
pub fn renormalize_next(connection: &mut Connection) -> Result<bool, StoreError> {
    let Some((from, to)) = unnormalized(connection)? else {
        return Ok(false);
    };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let query = format!(
        "SELECT id, room_id, {WORDS} AS words FROM messages WHERE id > ?1 AND id <= ?2
         ORDER BY id LIMIT ?3"
    );
    let (mut count, mut rewritten, mut newest) = (0, 0, from);
    {
        let mut select = transaction.prepare_cached(&query)?;
        let limit = i64::try_from(RENORMALIZE_READS).unwrap_or(i64::MAX);
        let mut rows = select.query(params![from, to, limit])?;
        while rewritten < RENORMALIZE_WRITES
            && let Some(row) = rows.next()?
        {
            let text = reader::stored_text(row, "words")?;
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
    let more = count == RENORMALIZE_READS || rewritten == RENORMALIZE_WRITES;
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

/// The row ids that [`renormalize_next`] has not read: after the first number, up to the second.
/// `None` if all are read. `uncomposed` in `meta` is the newest row of a version without NFC, and
/// `composed` the newest of these rows that was read since.
pub fn unnormalized(connection: &Connection) -> Result<Option<(i64, i64)>, StoreError> {
    let number = |key| {
        let value = read_meta(connection, key)?;
        Ok::<_, StoreError>(value.and_then(|value| value.parse::<i64>().ok()))
    };
    let to = number("uncomposed")?;
    let from = number("composed")?.unwrap_or(0);
    Ok(to.map(|to| (from, to)))
}

/// Lowers the newest indexed row id after the newest rows were deleted: SQLite may reuse their ids.
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
        let pair = format!("{:x}", pair_hash('회', '의'));
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

//! Appends a message to a room's log: one row with the next `seq`.

use super::{
    Appended, NewMessage, StoreError,
    content::ContentStore,
    files,
    quota::{Allowance, Full, bytes, message_bytes, unsigned},
    reader,
    schema::FILE_ROW_BYTES,
    writer::PreparedMessage,
};
use crate::{
    protocol::{ChatMessage, Epoch, Mention, RoomName, Seq},
    server::{authority::Authority, files::UploadedFile},
};
use rusqlite::{OptionalExtension, Transaction, params};

/// Appends a message, or returns the stored one of the same id. Puts the content of its files in
/// place. Counts a new room in `allowance`.
///
/// # Errors
/// [`StoreError::Full`] beyond the quota, [`StoreError::NoSuchFile`] without its files, and
/// [`StoreError::File`] if their content cannot be put in place; nothing was written.
pub fn append(
    transaction: &Transaction<'_>,
    room: &RoomName,
    PreparedMessage {
        message: new,
        files,
    }: &PreparedMessage,
    (epoch, content): (&Epoch, &ContentStore),
    allowance: &mut Allowance,
) -> Result<Appended, StoreError> {
    let known = known_room(transaction, room)?;
    if !new.draft.files.is_empty() {
        // Its uploads are gone if the message is stored.
        let first = match known {
            Some(known) => find(transaction, known.id, new)?,
            None => None,
        };
        if let Some(message) = first {
            let duplicate = true;
            return Ok(Appended { message, duplicate });
        }
    }
    let files = files.as_deref().ok_or(StoreError::NoSuchFile)?;
    refuse_used(transaction, files)?;
    if let Some(full) = refusal(transaction, room, known, new, files, *allowance)? {
        // A known id is answered beyond the quota, too.
        let first = match known {
            Some(known) => find(transaction, known.id, new)?,
            None => None,
        };
        let message = first.ok_or(StoreError::Full(full))?;
        let duplicate = true;
        return Ok(Appended { message, duplicate });
    }
    for file in files {
        if !content.place(file)? {
            return Err(StoreError::NoSuchFile);
        }
    }
    let (room_id, seq) = next_place(transaction, room, known, epoch)?;
    allowance.stored_rooms += u64::from(known.is_none());
    let message = ChatMessage::new(seq, new.from.clone(), new.draft.clone(), new.at);
    let mut message = message.with_mentions(&new.mentions);
    if let Some(row) = insert(transaction, room_id, &message, files.len(), &new.mentions)? {
        message.files = files::insert(transaction, row, files)?;
        return Ok(Appended {
            message,
            duplicate: false,
        });
    }
    // The id is known, so the `seq` was not used.
    let give_back = "UPDATE rooms SET seq = seq - 1 WHERE id = ?1";
    transaction.prepare_cached(give_back)?.execute([room_id])?;
    let first = find(transaction, room_id, new)?;
    let gone = || StoreError::BadRow("a stored message cannot be found by its id".to_owned());
    Ok(Appended {
        message: first.ok_or_else(gone)?,
        duplicate: true,
    })
}

/// The limit that refuses a message with its files; nothing if none does.
fn refusal(
    transaction: &Transaction<'_>,
    room: &RoomName,
    known: Option<KnownRoom>,
    new: &NewMessage,
    files: &[UploadedFile],
    allowance: Allowance,
) -> Result<Option<Full>, StoreError> {
    if known.is_none()
        && let Some(full) = allowance.refuses_room()
    {
        return Ok(Some(full));
    }
    let rows = files
        .iter()
        .map(|it| FILE_ROW_BYTES + bytes(it.name.as_str()));
    let more = message_bytes(new) + rows.sum::<u64>();
    let room_bytes = known.map_or(0, |known| known.bytes);
    if let Some(full) = allowance.refuses(transaction, room_bytes, more)? {
        return Ok(Some(full));
    }
    let content = files.iter().map(|file| file.size).sum();
    allowance.refuses_files(transaction, room, content)
}

/// Refuses files that another message has, or that are named twice.
fn refuse_used(transaction: &Transaction<'_>, files: &[UploadedFile]) -> Result<(), StoreError> {
    for (place, file) in files.iter().enumerate() {
        let is_repeated = files.iter().take(place).any(|other| other.id == file.id);
        if is_repeated || files::is_stored(transaction, &file.id)? {
            return Err(StoreError::NoSuchFile);
        }
    }
    Ok(())
}

/// A stored room.
#[derive(Debug, Clone, Copy)]
pub struct KnownRoom {
    /// The row id of the room.
    pub id: i64,
    /// The stored bytes of the room.
    pub bytes: u64,
}

/// The row of a room, if it is stored.
pub fn known_room(
    transaction: &Transaction<'_>,
    room: &RoomName,
) -> Result<Option<KnownRoom>, StoreError> {
    let query = "SELECT id, bytes FROM rooms WHERE name = ?1";
    let mut select = transaction.prepare_cached(query)?;
    let known = select.query_row([room.as_str()], |row| {
        Ok(KnownRoom {
            id: row.get("id")?,
            bytes: unsigned(row.get("bytes")?),
        })
    });
    Ok(known.optional()?)
}

/// The row id of a room, inserted if there is none, and the next `seq`.
fn next_place(
    transaction: &Transaction<'_>,
    room: &RoomName,
    known: Option<KnownRoom>,
    epoch: &Epoch,
) -> Result<(i64, Seq), StoreError> {
    if let Some(known) = known {
        return Ok((known.id, next_seq(transaction, known.id)?));
    }
    let query = "INSERT INTO rooms (name, epoch, seq) VALUES (?1, ?2, 1)";
    let mut insert = transaction.prepare_cached(query)?;
    let room_id = insert.insert(params![room.as_str(), epoch.as_str()])?;
    // A trigger counts the bytes of an update.
    let query = "UPDATE rooms SET authority = ?2 WHERE id = ?1";
    let unclaimed = Authority::default().to_json();
    let mut update = transaction.prepare_cached(query)?;
    update.execute(params![room_id, unclaimed])?;
    Ok((room_id, 1))
}

/// The stored message of the same id.
fn find(
    transaction: &Transaction<'_>,
    room_id: i64,
    new: &NewMessage,
) -> Result<Option<ChatMessage>, StoreError> {
    let columns = reader::COLUMNS;
    let query = format!("SELECT {columns} FROM messages WHERE room_id = ?1 AND client_id = ?2");
    let mut select = transaction.prepare_cached(&query)?;
    let id = new.draft.id.0.into_bytes();
    let row = select
        .query_row(params![room_id, id], reader::message)
        .optional()?;
    let page = reader::complete(transaction, row.into_iter().collect(), 1)?;
    Ok(page.messages.into_iter().next())
}

/// Increments the `seq` of a room and returns it.
pub fn next_seq(transaction: &Transaction<'_>, room_id: i64) -> Result<Seq, StoreError> {
    let query = "UPDATE rooms SET seq = seq + 1 WHERE id = ?1 RETURNING seq";
    let mut update = transaction.prepare_cached(query)?;
    let seq: i64 = update.query_row([room_id], |row| row.get(0))?;
    Ok(seq.unsigned_abs())
}

/// Inserts the row, with the number of its files. Returns its row id, if the id of the message was new
/// in the room.
fn insert(
    transaction: &Transaction<'_>,
    room_id: i64,
    message: &ChatMessage,
    files: usize,
    mentions: &[Mention],
) -> Result<Option<i64>, StoreError> {
    let query = "INSERT INTO messages
        (room_id, seq, client_id, author, nickname, text, at, reply_to, files, mentions)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
        ON CONFLICT (room_id, client_id) DO NOTHING";
    let mut statement = transaction.prepare_cached(query)?;
    let inserted = statement.execute(params![
        room_id,
        i64::try_from(message.seq).unwrap_or(i64::MAX),
        message.id.0.into_bytes(),
        message.from.id.as_str(),
        message.from.nickname.as_str(),
        message.words(),
        message.at,
        message.reply_to.map(|id| id.0.into_bytes()),
        i64::try_from(files).unwrap_or(i64::MAX),
        reader::mentions_text(mentions),
    ])?;
    Ok((inserted > 0).then(|| transaction.last_insert_rowid()))
}

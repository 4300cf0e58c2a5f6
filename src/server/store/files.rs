//! The rows of files, each of one message.

use super::{StoreError, reader};
use crate::{
    protocol::{Attachment, FileId, FileName, MediaType},
    server::files::{ContentHash, UploadedFile},
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

/// A stored file, as it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// The hash of the content.
    pub hash: ContentHash,
    /// Size in bytes.
    pub size: u64,
    /// The type that the server has found.
    pub media_type: MediaType,
    /// The name for people.
    pub name: FileName,
}

/// Whether a row has this id.
pub fn is_stored(connection: &Connection, id: &FileId) -> Result<bool, StoreError> {
    let mut select = connection.prepare_cached("SELECT 1 FROM files WHERE id = ?1")?;
    Ok(select.exists([id.as_str()])?)
}

/// Inserts the rows of the files of a message. Returns the files as clients see them.
pub fn insert(
    transaction: &Transaction<'_>,
    message_row: i64,
    files: &[UploadedFile],
) -> Result<Vec<Attachment>, StoreError> {
    let query = "INSERT INTO files
        (id, message_id, place, hash, size, media_type, name, width, height)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let mut insert = transaction.prepare_cached(query)?;
    let mut attachments = Vec::with_capacity(files.len());
    for (place, file) in (0_i64..).zip(files) {
        let (width, height) = file.sniffed.pixels.unzip();
        insert.execute(params![
            file.id.as_str(),
            message_row,
            place,
            file.hash.hex(),
            i64::try_from(file.size).unwrap_or(i64::MAX),
            file.sniffed.media_type.name(),
            file.name.as_str(),
            width,
            height,
        ])?;
        attachments.push(Attachment {
            id: file.id.clone(),
            name: file.name.clone(),
            size: file.size,
            media_type: file.sniffed.media_type,
            width,
            height,
            url: String::new(),
        });
    }
    Ok(attachments)
}

/// The files of a message, in order.
pub fn of_message(
    connection: &Connection,
    message_row: i64,
) -> Result<Vec<Attachment>, StoreError> {
    let query = "SELECT id, size, media_type, name, width, height FROM files
                 WHERE message_id = ?1 ORDER BY place";
    let mut select = connection.prepare_cached(query)?;
    let mut rows = select.query([message_row])?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        // An id that nothing could have written names no file.
        let Ok(id) = FileId::parse(&reader::stored_text(row, "id")?) else {
            continue;
        };
        files.push(Attachment {
            id,
            name: FileName::from_stored(&reader::stored_text(row, "name")?),
            size: size(row)?,
            media_type: media_type(row)?,
            width: row.get("width").unwrap_or_default(),
            height: row.get("height").unwrap_or_default(),
            url: String::new(),
        });
    }
    Ok(files)
}

/// A file by its id.
pub fn find(connection: &Connection, id: &FileId) -> Result<Option<StoredFile>, StoreError> {
    let query = "SELECT hash, size, media_type, name FROM files WHERE id = ?1";
    let mut select = connection.prepare_cached(query)?;
    let found = select.query_row([id.as_str()], |row| {
        let hash = ContentHash::parse(&reader::stored_text(row, "hash")?);
        let Some(hash) = hash else { return Ok(None) };
        Ok(Some(StoredFile {
            hash,
            size: size(row)?,
            media_type: media_type(row)?,
            name: FileName::from_stored(&reader::stored_text(row, "name")?),
        }))
    });
    Ok(found.optional()?.flatten())
}

/// The column with the size; 0 if it is no size.
fn size(row: &Row<'_>) -> rusqlite::Result<u64> {
    let size = row.get_ref("size")?.as_i64().unwrap_or(0);
    Ok(u64::try_from(size).unwrap_or(0))
}

/// The column with the media type.
fn media_type(row: &Row<'_>) -> rusqlite::Result<MediaType> {
    let name = reader::stored_text(row, "media_type")?;
    Ok(MediaType::from_stored(&name))
}

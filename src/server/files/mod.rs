//! Kept files: the uploads that are not part of a message yet, what a file is, and the links by
//! which browsers load files.
//!
//! [`Uploads`] receives files into `files/incoming` of the data directory. A message makes finished
//! uploads its own: the store moves their content to its place and writes their rows in the
//! transaction of the message. [`sniff`] reads the header of an image and never decodes one.

mod key;
mod sniff;
mod uploads;

pub use key::{FileKey, LINK_LIFETIME_MS, new_file_id};
pub use sniff::{Sniffed, sniff};
pub use uploads::{
    ContentHash, NewUpload, UploadError, UploadLimits, UploadProgress, UploadedFile, Uploads,
    Writing,
};

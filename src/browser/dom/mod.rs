//! Features of the page and the device, one file each, independent of rooms and calls.

pub mod address;
pub mod announcer;
pub mod caret;
pub mod chime;
pub mod clipboard;
pub mod clock;
pub mod dialog;
pub mod files;
pub mod fullscreen;
pub mod host_link;
pub mod invite_link;
pub mod js;
pub mod language;
pub mod navigation;
pub mod network;
pub mod notification;
pub mod page;
pub mod picture;
pub mod scroll;
pub mod share;
pub mod storage;
pub mod theme;
pub mod title;
pub mod toolbar;
pub mod wake_lock;

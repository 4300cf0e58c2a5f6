//! What pages are made of: draws state, emits intents, knows no socket.

mod avatar;
mod banner;
pub mod call;
pub mod chat;
mod full;
mod icon;
mod isolated;
mod later;
mod masthead;
mod open_rooms;
mod people;
mod plain;
mod rename;
mod title;
mod when;

pub use avatar::{Avatar, hue_of};
pub use banner::Banner;
pub use full::RoomFull;
pub use icon::{Icon, IconName};
pub use isolated::{PLACES, isolated};
pub use later::{Hydration, Later, hydrate_whole};
pub use masthead::{LanguageSwitch, Masthead, ThemeSwitch};
pub use open_rooms::OpenRooms;
pub use people::PeopleSide;
#[cfg(feature = "ssr")]
pub use plain::provide_plain;
pub use plain::{PlainField, in_plain, is_plain};
pub use rename::Rename;
pub use title::PageTitle;
pub use when::If;

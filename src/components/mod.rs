//! Components of the pages: they draw state and call actions of the session.

#[cfg(feature = "ssr")]
mod ask_to_enter;
mod avatar;
mod banner;
pub mod call;
pub mod chat;
mod copy_button;
mod deferred_hydration;
mod dismiss;
mod entry;
mod erased_show;
pub mod hosts;
mod icon;
mod isolated_names;
mod lazy_part;
mod masthead;
mod open_rooms;
mod password_field;
mod people;
mod rename;
mod switch;
mod time_zone;
mod title;
pub mod transfers;
mod without_script;

#[cfg(feature = "ssr")]
pub use ask_to_enter::{AskLink, Outside, OutsidePage};
pub use avatar::{Avatar, hue_of};
pub use banner::Banner;
pub use copy_button::CopyButton;
pub use deferred_hydration::{DeferredHydration, Hydration, hydrate_whole};
pub use dismiss::dismiss_outside;
pub use entry::AdmittedTo;
pub use erased_show::ErasedShow;
pub use icon::{Icon, IconName};
pub use isolated_names::{NAME_PLACEHOLDERS, isolate_names};
pub use lazy_part::{Draw, LazyDialog, LazyPart, LoadedDraw, preload_dialogs};
pub use masthead::{LanguageSwitch, Masthead, ThemeSwitch};
pub use open_rooms::OpenRooms;
pub use password_field::PasswordField;
pub use people::{PeopleList, PeopleSidebar};
pub use rename::Rename;
pub use switch::Switch;
pub use time_zone::TimeZone;
pub use title::PageTitle;
pub use without_script::{WithoutScriptField, is_without_script, page_address, refused_text};
#[cfg(feature = "ssr")]
pub use without_script::{provide_refused_text, provide_without_script};

//! What hosts do: the menu about a participant, the lobby, the settings of the room, the words of roles.

mod access;
mod confirm;
mod invites;
mod lobby;
mod person_dialog;
mod person_menu;
mod refused;
mod role;
mod room_settings;

pub use invites::InvitePeople;
pub use lobby::{LobbyBell, LobbySound, WaitingBadge, WaitingPeople, show_people_name};
pub use person_dialog::PersonDialog;
pub use person_menu::{PersonActions, PersonMenus};
pub use refused::RefusedRequest;
pub use role::{RoleBadge, role_name, role_with_article};
pub use room_settings::{RoomSettingsButton, RoomSettingsDialog};

//! Components of the call.

mod controls;
mod device_problems;
mod device_settings;
mod hide_address;
mod host_notices;
mod join_call;
mod media_blocked;
mod people_dialog;
mod prejoin;
mod screens;
mod stage;
mod statistics;
mod tile;
mod voices;

pub use controls::CallControls;
pub use device_problems::DeviceProblems;
pub use device_settings::DeviceSettings;
pub use hide_address::HideAddress;
pub use join_call::JoinCall;
pub use media_blocked::MediaBlocked;
pub use people_dialog::PeopleDialog;
pub use prejoin::Prejoin;
pub use stage::CallStage;

//! What the call is drawn with.

mod address;
mod controls;
mod figures;
mod prejoin;
mod problems;
mod reach;
mod screens;
mod settings;
mod stage;
mod tile;
mod voices;

pub use address::HideAddress;
pub use controls::CallControls;
pub use prejoin::Prejoin;
pub use problems::DeviceProblems;
pub use reach::MediaBlocked;
pub use settings::DeviceSettings;
pub use stage::CallStage;

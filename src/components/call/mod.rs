//! What the call is drawn with.

mod controls;
mod figures;
mod problems;
mod screens;
mod settings;
mod stage;
mod tile;
mod voices;

pub use controls::CallControls;
pub use problems::DeviceProblems;
pub use settings::DeviceSettings;
pub use stage::CallStage;

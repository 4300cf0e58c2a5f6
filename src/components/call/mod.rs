//! What the call is drawn with.

mod controls;
mod problems;
mod settings;
mod stage;
mod tile;

pub use controls::CallControls;
pub use problems::DeviceProblems;
pub use settings::DeviceSettings;
pub use stage::CallStage;

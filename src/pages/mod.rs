//! The pages, one file per URL.

mod call;
mod not_found;
mod room;
mod welcome;

pub use call::CallPage;
pub use not_found::NotFoundPage;
pub use room::RoomRoute;
pub use welcome::WelcomePage;

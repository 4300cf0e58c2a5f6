//! The document shell and the routes.

use leptos::prelude::*;

/// The document around the application.
pub fn shell(_options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <body>
                <App/>
            </body>
        </html>
    }
}

/// The application.
#[component]
pub fn App() -> impl IntoView {
    view! { <p>"Noom"</p> }
}

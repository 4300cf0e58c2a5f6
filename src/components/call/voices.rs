//! Audio of a call through the SFU: one `<audio>` per slot.

use crate::protocol::ParticipantId;
use crate::session::Session;
use crate::state::call::CallStateStoreFields;
use leptos::html::Audio;
use leptos::prelude::*;

/// Plays every audio slot.
#[component]
pub fn Voices() -> impl IntoView {
    let session = expect_context::<Session>();
    let voices = Memo::new(move |_| session.call.voices().get());
    view! {
        <For
            each=move || voices.get()
            key=|(mid, _): &(String, ParticipantId)| mid.clone()
            children=|(mid, _)| view! { <Voice mid /> }
        />
    }
}

/// Plays one audio slot.
#[component]
fn Voice(
    /// `mid` of the slot.
    mid: String,
) -> impl IntoView {
    let audio = NodeRef::<Audio>::new();
    let session = expect_context::<Session>();
    Effect::new(move || {
        // Attaches again when a participant migrates to the SFU or the speaker changes.
        let _ = (
            session.call.voices().get(),
            session.call.slots_version().get(),
        );
        let _ = session.call.choices().read().speaker.clone();
        #[cfg(feature = "hydrate")]
        if let Some(audio) = audio.get() {
            session.attach_voice(&audio, &mid);
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (audio, session, &mid);
    });
    view! { <audio node_ref=audio autoplay=true></audio> }
}

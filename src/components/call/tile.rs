//! One person on the stage: their picture or their sign, their name, and what is off.

use crate::components::{Avatar, Icon, IconName, If};
use crate::i18n::*;
use crate::protocol::ParticipantId;
use crate::session::Session;
use crate::state::call::{CallStateStoreFields, LinkState, Tile};
use crate::words;
use leptos::html::{Audio, Video};
use leptos::prelude::*;

/// Draws a tile.
#[component]
pub fn TileView(
    /// The tile as it was first.
    tile: Tile,
    /// The tile as it is now.
    now: Memo<Tile>,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let (id, mine) = (tile.id, tile.mine);
    let nickname = {
        let id = id.clone();
        // Whoever is just leaving keeps the name on the tile.
        Memo::new(move |before: Option<&String>| {
            let nickname = session.nickname_of(&id);
            match before.filter(|_| nickname.is_empty()) {
                Some(before) => before.clone(),
                None => nickname,
            }
        })
    };
    let pictured = Memo::new(move |_| {
        let devices = now.read().devices;
        devices.camera || devices.screen
    });
    let screen = Memo::new(move |_| now.read().devices.screen);
    let mirrored = Memo::new(move |_| mine && !screen.get() && !session.call.rear().get());
    let dark = Memo::new(move |_| !pictured.get());
    let silent = Memo::new(move |_| !mine && dark.get());
    let tag = session.tag_of(id.clone());
    let (video_id, audio_id) = (id.clone(), id.clone());
    view! {
        <li
            class="tile"
            class:tile--me=mine
            class:tile--mirrored=mirrored
            class:tile--dark=dark
            class:tile--screen=screen
            aria-label=nickname
        >
            <If when=pictured>
                <Picture id=video_id.clone() mine now />
            </If>
            <If when=silent>
                <Sound id=audio_id.clone() now />
            </If>
            <If when=dark>
                <div class="tile__avatar">
                    <Avatar id=id.clone() nickname />
                </div>
            </If>
            <LinkSign now />
            <p class="tile__name">
                <Signs now /> <span>{nickname}</span>
                {move || tag.get().map(|tag| view! { <span class="tag">{tag}</span> })}
                <MeSign mine />
            </p>
        </li>
    }
}

/// The picture, and with others their voice.
#[component]
fn Picture(
    /// Whose.
    id: ParticipantId,
    /// One's own: silent.
    mine: bool,
    /// The tile as it is now.
    now: Memo<Tile>,
) -> impl IntoView {
    let video = NodeRef::<Video>::new();
    let session = expect_context::<Session>();
    let version = Memo::new(move |_| now.read().link.version);
    Effect::new(move || {
        // Read, not only tracked: a memo that was never read has no sources yet.
        let _ = version.get();
        #[cfg(feature = "hydrate")]
        if let Some(video) = video.get() {
            session.attach(&video, &id);
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (video, session, &id);
    });
    view! {
        <video
            class="tile__video"
            node_ref=video
            autoplay=true
            playsinline=true
            prop:muted=mine
        ></video>
    }
}

/// The voice of somebody whose camera is off.
#[component]
fn Sound(
    /// Whose.
    id: ParticipantId,
    /// The tile as it is now.
    now: Memo<Tile>,
) -> impl IntoView {
    let audio = NodeRef::<Audio>::new();
    let session = expect_context::<Session>();
    let version = Memo::new(move |_| now.read().link.version);
    Effect::new(move || {
        // Read, not only tracked: a memo that was never read has no sources yet.
        let _ = version.get();
        #[cfg(feature = "hydrate")]
        if let Some(audio) = audio.get() {
            session.attach(&audio, &id);
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (audio, session, &id);
    });
    view! { <audio node_ref=audio autoplay=true></audio> }
}

/// What is off, as signs with words.
#[component]
fn Signs(
    /// The tile as it is now.
    now: Memo<Tile>,
) -> impl IntoView {
    let i18n = use_i18n();
    let muted = Memo::new(move |_| !now.read().devices.microphone);
    let dark = Memo::new(move |_| !now.read().devices.camera);
    view! {
        <span class="tile__signs">
            <If when=muted>
                <span class="tile__sign">
                    <Icon name=IconName::MicrophoneOff />
                    <span class="visually-hidden">{words!(i18n, call.muted)}</span>
                </span>
            </If>
            <If when=dark>
                <span class="tile__sign">
                    <Icon name=IconName::CameraOff />
                    <span class="visually-hidden">{words!(i18n, call.camera_off)}</span>
                </span>
            </If>
        </span>
    }
}

/// "You", on one's own tile.
#[component]
fn MeSign(
    /// Whether it is one's own.
    mine: bool,
) -> impl IntoView {
    let i18n = use_i18n();
    mine.then(|| view! { <span class="tile__you">{words!(i18n, common.you)}</span> })
}

/// How the connection is, while it is not up.
#[component]
fn LinkSign(
    /// The tile as it is now.
    now: Memo<Tile>,
) -> impl IntoView {
    let i18n = use_i18n();
    let state = Memo::new(move |_| now.read().link.state);
    let down = Memo::new(move |_| state.get() != LinkState::Connected);
    let sentence = Signal::derive(move || match state.get() {
        LinkState::Reconnecting => t_string!(i18n, call.reconnecting),
        _ => t_string!(i18n, call.connecting),
    });
    view! {
        <If when=down>
            <p class="tile__link">{sentence}</p>
        </If>
    }
}

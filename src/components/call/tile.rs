//! A tile of the stage: a participant's video or avatar, name, and devices that are off.

use crate::components::hosts::RoleBadge;
use crate::components::{Avatar, ErasedShow, Icon, IconName};
use crate::i18n::*;
use crate::protocol::{ParticipantId, Quality, Source};
use crate::session::Session;
use crate::state::call::{CallStateStoreFields, LinkState, Tile};
use crate::words;
use leptos::html::{Audio, Video};
use leptos::prelude::*;

/// Draws a tile.
#[component]
pub fn TileView(
    /// The tile when the component was created.
    tile: Tile,
    /// The current tile.
    now: Memo<Tile>,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let (id, mine) = (tile.id, tile.mine);
    let nickname = {
        let id = id.clone();
        // A participant who leaves keeps the name until the tile is removed.
        Memo::new(move |before: Option<&String>| {
            let nickname = session.nickname_of(&id);
            match before.filter(|_| nickname.is_empty()) {
                Some(before) => before.clone(),
                None => nickname,
            }
        })
    };
    let pictured = Memo::new(move |_| now.read().devices.camera);
    let mirrored = Memo::new(move |_| mine && !session.call.rear().get());
    let speaking = Memo::new(move |_| now.read().speaking);
    let pinned = Memo::new(move |_| now.read().pinned);
    let recently_dominant = Memo::new(move |_| now.read().recently_dominant);
    let camera_off = Memo::new(move |_| !pictured.get());
    let silent = Memo::new(move |_| !mine && camera_off.get());
    let tag = session.tag_of(id.clone());
    let (video_id, audio_id) = (id.clone(), id.clone());
    let (pin_id, role_id) = (id.clone(), id.clone());
    view! {
        <li
            class="tile"
            class:tile--me=mine
            class:tile--mirrored=mirrored
            class:tile--camera-off=camera_off
            class:tile--speaking=speaking
            class:tile--pinned=pinned
            class:tile--front=recently_dominant
            aria-label=nickname
        >
            <div class="tile__avatar">
                <Avatar id=id.clone() nickname />
            </div>
            <ErasedShow when=pictured>
                <Picture id=video_id.clone() source=Source::Camera mine version=version(now) />
            </ErasedShow>
            <ErasedShow when=silent>
                <Sound id=audio_id.clone() now />
            </ErasedShow>
            <ConnectionBadge now />
            <ErasedShow when=Signal::derive(move || !mine)>
                <PinButton id=pin_id.clone() nickname now />
            </ErasedShow>
            <p class="tile__name" translate="no">
                <StatusBadges now /> <bdi>{nickname}</bdi>
                <RoleBadge id=role_id class="tile__role" />
                {move || tag.get().map(|tag| view! { <span class="tag">{tag}</span> })}
                <YouBadge mine />
            </p>
        </li>
    }
}

/// Counts the changes of a tile's stream.
fn version(now: Memo<Tile>) -> Memo<u32> {
    Memo::new(move |_| now.read().link.version)
}

/// A video; browser to browser with its audio.
#[component]
pub fn Picture(
    /// Id of the participant.
    id: ParticipantId,
    /// Camera or screen.
    source: Source,
    /// Whether it belongs to this participant, and is silent.
    mine: bool,
    /// Counts the changes of its stream.
    version: Memo<u32>,
) -> impl IntoView {
    let video = NodeRef::<Video>::new();
    let session = expect_context::<Session>();
    Effect::new(move || {
        // Read, not only tracked: a memo that was never read has no sources yet.
        let _ = version.get();
        #[cfg(feature = "hydrate")]
        if let Some(video) = video.get() {
            session.attach(&video, &id, source);
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (video, session, &id, source);
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

/// The audio of a participant whose camera is off.
#[component]
fn Sound(
    /// Id of the participant.
    id: ParticipantId,
    /// The current tile.
    now: Memo<Tile>,
) -> impl IntoView {
    let audio = NodeRef::<Audio>::new();
    let session = expect_context::<Session>();
    let version = version(now);
    Effect::new(move || {
        // Read, not only tracked: a memo that was never read has no sources yet.
        let _ = version.get();
        #[cfg(feature = "hydrate")]
        if let Some(audio) = audio.get() {
            session.attach(&audio, &id, Source::Microphone);
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (audio, session, &id);
    });
    view! { <audio node_ref=audio autoplay=true></audio> }
}

/// The devices that are off, as icons with text.
#[component]
fn StatusBadges(
    /// The current tile.
    now: Memo<Tile>,
) -> impl IntoView {
    let i18n = use_i18n();
    let muted = Memo::new(move |_| !now.read().devices.microphone);
    let camera_off = Memo::new(move |_| !now.read().devices.camera);
    let speaking = Memo::new(move |_| now.read().speaking);
    let quality = Memo::new(move |_| now.read().quality);
    let weak = Memo::new(move |_| quality.get() != Quality::Good);
    let connection = Signal::derive(move || match quality.get() {
        Quality::Poor => t_string!(i18n, call.connection_poor),
        Quality::Fair | Quality::Good => t_string!(i18n, call.connection_fair),
    });
    view! {
        <span class="tile__badges">
            <ErasedShow when=speaking>
                <span class="tile__badge tile__badge--live">
                    <Icon name=IconName::Sound />
                    <span class="visually-hidden">{words!(i18n, call.speaking)}</span>
                </span>
            </ErasedShow>
            <ErasedShow when=weak>
                <span class="tile__badge tile__badge--weak">
                    <Icon name=IconName::Signal />
                    <span class="visually-hidden">{connection}</span>
                </span>
            </ErasedShow>
            <ErasedShow when=muted>
                <span class="tile__badge">
                    <Icon name=IconName::MicrophoneOff />
                    <span class="visually-hidden">{words!(i18n, call.muted)}</span>
                </span>
            </ErasedShow>
            <ErasedShow when=camera_off>
                <span class="tile__badge">
                    <Icon name=IconName::CameraOff />
                    <span class="visually-hidden">{words!(i18n, call.camera_off)}</span>
                </span>
            </ErasedShow>
        </span>
    }
}

/// "You", on the own tile.
#[component]
fn YouBadge(
    /// Whether it is this participant's own tile.
    mine: bool,
) -> impl IntoView {
    let i18n = use_i18n();
    mine.then(|| view! { <span class="tile__you">{words!(i18n, common.you)}</span> })
}

/// Pins a participant, or removes the pin.
#[component]
fn PinButton(
    /// Id of the participant to pin.
    id: ParticipantId,
    /// Nickname of the participant.
    nickname: Memo<String>,
    /// The current tile.
    now: Memo<Tile>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let label = move || t_string!(i18n, call.pin).replace("{name}", &nickname.read());
    let pinned = Memo::new(move |_| now.read().pinned);
    view! {
        <button
            class="tile__button"
            type="button"
            aria-label=label
            title=label
            aria-pressed=Signal::derive(move || pinned.get().to_string())
            on:click=move |_| session.pin(id.clone())
        >
            <Icon name=IconName::Pin />
        </button>
    }
}

/// The state of a connection that is not established, or of a paused video.
#[component]
fn ConnectionBadge(
    /// The current tile.
    now: Memo<Tile>,
) -> impl IntoView {
    let i18n = use_i18n();
    let state = Memo::new(move |_| now.read().link.state);
    let paused = Memo::new(move |_| now.read().paused);
    let down = Memo::new(move |_| state.get() != LinkState::Connected || paused.get());
    let sentence = Signal::derive(move || match state.get() {
        LinkState::Reconnecting => t_string!(i18n, call.reconnecting),
        LinkState::Connecting => t_string!(i18n, call.connecting),
        LinkState::Connected => t_string!(i18n, call.picture_paused),
    });
    let short = Signal::derive(move || match state.get() {
        LinkState::Connected => t_string!(i18n, call.picture_paused_short),
        LinkState::Connecting | LinkState::Reconnecting => sentence.get(),
    });
    view! {
        <ErasedShow when=down>
            <p class="tile__link" title=sentence>
                <span class="tile__long">{sentence}</span>
                <span class="tile__short">{short}</span>
            </p>
        </ErasedShow>
    }
}

//! The live local tracks, one per source.

use crate::browser::dom::js::Listener;
use crate::protocol::Source;
use web_sys::{MediaStream, MediaStreamTrack};

/// The tracks of the local devices. Dropping one stops its device.
#[derive(Default)]
pub struct LocalTracks {
    /// The microphone. Muting disables the track.
    pub microphone: Option<Track>,
    /// The camera; `None` while it is off, so that its light is off, too.
    pub camera: Option<Track>,
    /// The shared screen.
    pub screen: Option<Track>,
    /// The audio of the shared screen or tab, if the browser provides it.
    pub screen_audio: Option<Track>,
}

impl LocalTracks {
    /// The track that a source sends.
    pub fn of(&self, source: Source) -> Option<&MediaStreamTrack> {
        let track = match source {
            Source::Microphone => &self.microphone,
            Source::Camera => &self.camera,
            Source::Screen => &self.screen,
            Source::ScreenAudio => &self.screen_audio,
        };
        track.as_ref().map(|track| &track.track)
    }
}

/// A live track with the listeners for its `ended`, `mute` and `unmute` events.
pub struct Track {
    /// A track of the browser, stopped when this is dropped.
    pub track: MediaStreamTrack,
    /// Listeners for the end of the track and for muting by the system.
    pub listeners: Vec<Listener>,
}

impl Track {
    /// A live track with its listeners.
    pub fn new(track: MediaStreamTrack, listeners: Vec<Listener>) -> Self {
        Self { track, listeners }
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        self.listeners.clear();
        self.track.stop();
    }
}

/// Replaces every track of `stream` by `track`.
pub fn show_only(stream: &MediaStream, track: Option<&MediaStreamTrack>) {
    for old in stream.get_tracks().iter() {
        stream.remove_track(&wasm_bindgen::JsCast::unchecked_into(old));
    }
    if let Some(track) = track {
        stream.add_track(track);
    }
}

//! One's own tracks: what is live of each source.

use crate::browser::dom::js::Listener;
use crate::protocol::Source;
use web_sys::{MediaStream, MediaStreamTrack};

/// The tracks of one's own devices; dropped, they end and the lights go out.
#[derive(Default)]
pub struct LocalTracks {
    /// The microphone; muted by disabling it.
    pub microphone: Option<Track>,
    /// The camera; off means there is none, so that its light is off too.
    pub camera: Option<Track>,
    /// The shared screen.
    pub screen: Option<Track>,
    /// What the shared screen or tab sounds like, where the browser gives that.
    pub screen_audio: Option<Track>,
}

impl LocalTracks {
    /// What a source sends now.
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

/// A live track with the listeners for what nobody here asked for.
pub struct Track {
    /// The track.
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

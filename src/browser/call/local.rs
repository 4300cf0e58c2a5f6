//! One's own tracks: what is live, and what stands in for what.

use crate::browser::js::Listener;
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
}

impl LocalTracks {
    /// The picture to send: the screen stands in for the camera.
    pub fn picture(&self) -> Option<&MediaStreamTrack> {
        self.screen
            .as_ref()
            .or(self.camera.as_ref())
            .map(|track| &track.track)
    }

    /// The sound to send.
    pub fn sound(&self) -> Option<&MediaStreamTrack> {
        self.microphone.as_ref().map(|track| &track.track)
    }
}

/// A live track with its listener for an end that nobody here asked for.
pub struct Track {
    /// The track.
    pub track: MediaStreamTrack,
    /// Told when the device is pulled out or the browser's own bar ends it.
    _ended: Listener,
}

impl Track {
    /// A live track; `ended` is told when it ends by itself.
    pub fn new(track: MediaStreamTrack, ended: Listener) -> Self {
        Self {
            track,
            _ended: ended,
        }
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        self.track.stop();
    }
}

/// Makes `stream` hold `track` and no other.
pub fn show_only(stream: &MediaStream, track: Option<&MediaStreamTrack>) {
    for old in stream.get_tracks().iter() {
        stream.remove_track(&wasm_bindgen::JsCast::unchecked_into(old));
    }
    if let Some(track) = track {
        stream.add_track(track);
    }
}

//! Stub until merge.
use crate::protocol::*;
use crate::state::call::CallState;
use reactive_stores::Store;
use std::rc::Rc;
/// Stub.
pub struct CallDriver;
#[allow(missing_docs, unused_variables)]
impl CallDriver {
    pub fn new(state: Store<CallState>, send: Rc<dyn Fn(ClientMessage)>) -> Rc<Self> {
        Rc::new(Self)
    }
    pub fn on_message(self: &Rc<Self>, message: &ServerMessage) {}
    pub fn on_live(self: &Rc<Self>) {}
    pub fn enter(self: &Rc<Self>, wanted: Devices) {}
    pub fn leave(self: &Rc<Self>) {}
    pub fn toggle_microphone(self: &Rc<Self>) {}
    pub fn toggle_camera(self: &Rc<Self>) {}
    pub fn toggle_screen(self: &Rc<Self>) {}
    pub fn choose_camera(self: &Rc<Self>, device_id: String) {}
    pub fn choose_microphone(self: &Rc<Self>, device_id: String) {}
    pub fn choose_speaker(self: &Rc<Self>, device_id: String) {}
    pub fn flip_camera(self: &Rc<Self>) {}
    pub fn retry_devices(self: &Rc<Self>) {}
    pub fn attach(&self, video: &web_sys::HtmlVideoElement, id: &ParticipantId) {}
}

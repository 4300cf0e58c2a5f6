//! The viewport: the videos on the screen and their heights.

use crate::protocol::{ParticipantId, Source, Wanted};
use js_sys::Reflect;
use leptos::prelude::document;
use std::cell::RefCell;
use web_sys::HtmlMediaElement;

/// Granularity of the heights in a subscription, in pixels: small changes send nothing.
const STEP_PX: f64 = 20.0;

/// The elements that play videos of other participants.
#[derive(Default)]
pub struct Viewport {
    elements: RefCell<Vec<(ParticipantId, Source, HtmlMediaElement)>>,
    /// The subscription sent last; `None` if the server may not have it.
    sent: RefCell<Option<Vec<Wanted>>>,
}

impl Viewport {
    /// Registers an element that plays a participant's video.
    pub fn add(&self, id: &ParticipantId, source: Source, element: &HtmlMediaElement) {
        let mut elements = self.elements.borrow_mut();
        elements.retain(|(_, _, known)| known != element && known.is_connected());
        elements.push((id.clone(), source, Clone::clone(element)));
    }

    /// The current subscription: the visible videos and the microphone of the pinned participant.
    pub fn now(&self, pinned: Option<&ParticipantId>) -> Vec<Wanted> {
        let voice = pinned.map(|id| Wanted {
            id: id.clone(),
            source: Source::Microphone,
            height: 0,
            pinned: true,
        });
        voice.into_iter().chain(self.pictures(pinned)).collect()
    }

    /// The visible videos. A page in the background has only one in picture-in-picture.
    fn pictures(&self, pinned: Option<&ParticipantId>) -> Vec<Wanted> {
        let hidden = document().hidden();
        let floating = Reflect::get(&document(), &"pictureInPictureElement".into()).ok();
        let mut elements = self.elements.borrow_mut();
        elements.retain(|(_, _, element)| element.is_connected());
        let seen = |element: &HtmlMediaElement| !hidden || floating.as_ref() == Some(element);
        let shown = elements.iter().filter(|(_, _, element)| seen(element));
        let wanted = shown.filter_map(|(id, source, element)| {
            let height = height_of(element)?;
            Some(Wanted {
                id: id.clone(),
                source: *source,
                height,
                pinned: pinned == Some(id),
            })
        });
        wanted.collect()
    }

    /// The subscription, if it differs from the one that was sent last.
    pub fn changes(&self, pinned: Option<&ParticipantId>) -> Option<Vec<Wanted>> {
        let now = self.now(pinned);
        let before = self.sent.replace(Some(now.clone()));
        (before.as_ref() != Some(&now)).then_some(now)
    }

    /// The server may have lost the subscription: the connection is new or was interrupted.
    pub fn forget_sent(&self) {
        *self.sent.borrow_mut() = None;
    }
}

/// Height of an element in physical pixels; `None` while it is not visible.
fn height_of(element: &HtmlMediaElement) -> Option<u32> {
    let window = web_sys::window()?;
    let number = |value: Result<wasm_bindgen::JsValue, wasm_bindgen::JsValue>| {
        value.ok().and_then(|value| value.as_f64())
    };
    let (wide, tall) = (
        number(window.inner_width())?,
        number(window.inner_height())?,
    );
    let rect = element.get_bounding_client_rect();
    let mut seen = (0.0, 0.0, wide, tall);
    // An element scrolled out of its list is not visible, either.
    if let Ok(Some(list)) = element.closest("ul") {
        let list = list.get_bounding_client_rect();
        seen = (list.left(), list.top(), list.right(), list.bottom());
    }
    let (left, top, right, bottom) = seen;
    let (left, top) = (left.max(0.0), top.max(0.0));
    let (right, bottom) = (right.min(wide), bottom.min(tall));
    let inside =
        rect.bottom() > top && rect.top() < bottom && rect.right() > left && rect.left() < right;
    let pixels = rect.height() * window.device_pixel_ratio();
    let steps = (pixels / STEP_PX).ceil();
    (inside && rect.width() > 0.0 && steps > 0.0).then_some((steps * STEP_PX) as u32)
}

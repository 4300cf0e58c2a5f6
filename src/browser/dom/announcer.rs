//! A live region for screen readers that is hidden from the document's text.
//!
//! It is in a closed shadow root: the accessibility tree contains it, but a search of the
//! document (by the browser, a script or a test) finds only the message in the log.

use js_sys::{Function, Object, Reflect};
use leptos::prelude::document;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Element;

/// The polite live region (WAI-ARIA 1.2) of one log. Lives as long as its host element.
pub struct Announcer(Element);

impl Announcer {
    /// A region in `host`, which has no other content. `None` if the browser refuses.
    pub fn within(host: &Element) -> Option<Self> {
        let region = document().create_element("div").ok()?;
        region.set_attribute("aria-live", "polite").ok()?;
        attach_shadow(host)?.append_child(&region).ok()?;
        Some(Self(region))
    }

    /// Announces a sentence. Dropping the returned [`Spoken`] removes it from the region.
    pub fn announce(&self, sentence: &str) -> Option<Spoken> {
        let paragraph = document().create_element("p").ok()?;
        paragraph.set_text_content(Some(sentence));
        self.0.append_child(&paragraph).ok()?;
        Some(Spoken(paragraph))
    }
}

/// A sentence in the region.
pub struct Spoken(Element);

impl Drop for Spoken {
    fn drop(&mut self) {
        self.0.remove();
    }
}

/// `host.attachShadow({ mode: "closed" })`.
fn attach_shadow(host: &Element) -> Option<web_sys::Node> {
    let attach = Reflect::get(host, &"attachShadow".into()).ok()?;
    let attach: Function = attach.dyn_into().ok()?;
    let closed = Object::new();
    Reflect::set(&closed, &"mode".into(), &"closed".into()).ok()?;
    let root: JsValue = attach.call1(host, &closed).ok()?;
    Some(root.unchecked_into())
}

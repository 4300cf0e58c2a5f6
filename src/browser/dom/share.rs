//! The share sheet of the system, and files that the page makes.

use js_sys::{Array, Function, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Blob, BlobPropertyBag, HtmlElement, Url};

/// The function of the browser that opens the share sheet; `None` where there is none.
fn share_function() -> Option<(JsValue, Function)> {
    let navigator = JsValue::from(web_sys::window()?.navigator());
    let share = Reflect::get(&navigator, &JsValue::from_str("share")).ok()?;
    Some((navigator, share.dyn_into().ok()?))
}

/// Whether the browser has a share sheet.
pub fn can_share() -> bool {
    share_function().is_some()
}

/// Opens the share sheet with a link. Nothing happens if the user closes it.
pub fn share(title: &str, link: &str) {
    let Some((navigator, share)) = share_function() else {
        return;
    };
    let data = Object::new();
    for (name, value) in [("title", title), ("url", link)] {
        let _ = Reflect::set(&data, &JsValue::from_str(name), &JsValue::from_str(value));
    }
    if let Ok(shared) = share.call1(&navigator, &data)
        && let Ok(shared) = shared.dyn_into::<js_sys::Promise>()
    {
        spawn_local(async move { drop(JsFuture::from(shared).await) });
    }
}

/// The address of a file that the page holds, until dropped.
pub struct PageFile(String);

impl PageFile {
    /// A file with this text, of a media type.
    pub fn new(text: &str, media_type: &str) -> Option<Self> {
        let options = BlobPropertyBag::new();
        options.set_type(media_type);
        let parts = Array::of1(&JsValue::from_str(text));
        let blob = Blob::new_with_str_sequence_and_options(&parts, &options).ok()?;
        Self::of(&blob)
    }

    /// A file with these bytes.
    pub fn of(blob: &Blob) -> Option<Self> {
        Url::create_object_url_with_blob(blob).ok().map(Self)
    }

    /// The address of the file.
    pub fn address(&self) -> &str {
        &self.0
    }

    /// Saves the file on the device under this name.
    pub fn download(&self, name: &str) {
        let document = web_sys::window().and_then(|window| window.document());
        let link = document.and_then(|document| document.create_element("a").ok());
        if let Some(link) = link.and_then(|link| link.dyn_into::<HtmlElement>().ok()) {
            let _ = link.set_attribute("href", &self.0);
            let _ = link.set_attribute("download", name);
            link.click();
        }
    }
}

impl Drop for PageFile {
    fn drop(&mut self) {
        let _ = Url::revoke_object_url(&self.0);
    }
}

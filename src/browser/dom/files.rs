//! Files that a person chooses, pastes or drops. The browser keeps their bytes; the page reads parts.

use js_sys::{Array, Function, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, Event, HtmlInputElement, Url};

/// A file or a picture that the page has made: bytes that the browser holds (a `Blob`).
#[derive(Clone)]
pub struct Bytes(JsValue);

/// A property of a value of the browser; `undefined` if there is none.
fn property(of: &JsValue, name: &str) -> JsValue {
    Reflect::get(of, &name.into()).unwrap_or_default()
}

impl Bytes {
    /// The bytes of a `Blob`; `None` if there is none.
    pub fn of(value: JsValue) -> Option<Self> {
        value.is_object().then_some(Self(value))
    }

    /// The number of bytes.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number that is not negative"
    )]
    pub fn size(&self) -> u64 {
        property(&self.0, "size").as_f64().unwrap_or_default() as u64
    }

    /// The name of a file; empty for what is none.
    pub fn name(&self) -> String {
        property(&self.0, "name").as_string().unwrap_or_default()
    }

    /// The media type that the browser tells by the name.
    pub fn media_type(&self) -> String {
        property(&self.0, "type").as_string().unwrap_or_default()
    }

    /// The bytes from one place to before another.
    #[expect(clippy::cast_precision_loss, reason = "files are far below 2^53 bytes")]
    pub fn part(&self, from: u64, to: u64) -> Option<JsValue> {
        let slice: Function = property(&self.0, "slice").dyn_into().ok()?;
        let ends = [from, to].map(|place| JsValue::from(place as f64));
        slice.apply(&self.0, &Array::from_iter(ends)).ok()
    }

    /// The first bytes, at most `count`. `None` if the browser cannot read them.
    pub async fn head(&self, count: u32) -> Option<Vec<u8>> {
        let part = self.part(0, count.into())?;
        let read: Function = property(&part, "arrayBuffer").dyn_into().ok()?;
        let buffer: js_sys::Promise = read.call0(&part).ok()?.dyn_into().ok()?;
        let buffer = JsFuture::from(buffer).await.ok()?;
        Some(Uint8Array::new(&buffer).to_vec())
    }

    /// An address of the bytes within this document, until [`forget_address`].
    pub fn address(&self) -> Option<String> {
        Url::create_object_url_with_blob(self.0.unchecked_ref::<Blob>()).ok()
    }

    /// The bytes as a value of the browser.
    pub fn value(&self) -> &JsValue {
        &self.0
    }
}

/// Frees an address of bytes.
pub fn forget_address(address: &str) {
    let _ = Url::revoke_object_url(address);
}

/// The files of a list of the browser.
fn listed(list: &JsValue) -> Vec<Bytes> {
    let mut files = Vec::new();
    for index in 0_u32.. {
        let Some(file) = Bytes::of(property(list, &index.to_string())) else {
            break;
        };
        files.push(file);
    }
    files
}

/// The files that were chosen in a field, which is empty afterwards, so that the same file can be
/// chosen again.
pub fn chosen(input: &HtmlInputElement) -> Vec<Bytes> {
    let files = listed(&property(input, "files"));
    input.set_value("");
    files
}

/// The files on the clipboard, if they are what is pasted: programs for text add a picture of it.
pub fn pasted(event: &Event) -> Vec<Bytes> {
    let data = property(event, "clipboardData");
    let has = |kind: &str| types(&data).iter().any(|known| known == kind);
    if has("text/plain") && (has("text/html") || has("text/rtf")) {
        return Vec::new();
    }
    listed(&property(&data, "files"))
}

/// Whether files are dragged.
pub fn are_dragged(event: &Event) -> bool {
    let types = types(&property(event, "dataTransfer"));
    types.iter().any(|kind| kind == "Files")
}

/// The files that were dropped.
pub fn dropped(event: &Event) -> Vec<Bytes> {
    listed(&property(&property(event, "dataTransfer"), "files"))
}

/// Whether the pointer leaves the page with what it drags.
pub fn leaves_page(event: &Event) -> bool {
    let to = property(event, "relatedTarget");
    to.is_null() || to.is_undefined()
}

/// The kinds of what is transferred.
fn types(data: &JsValue) -> Vec<String> {
    let types = property(data, "types");
    let kind = |index: u32| property(&types, &index.to_string()).as_string();
    (0_u32..).map_while(kind).collect()
}

//! Saves the log of the room as a file.

use crate::browser::dom::js::call;
use crate::browser::dom::share::PageFile;
use crate::browser::room::controller::RoomController;
use crate::paths::address;
use crate::protocol::{REFUSAL_HEADER, SESSION_HEADER};
use crate::state::export::{ExportFailure, ExportFormat, ExportState};
use js_sys::Promise;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Blob, Headers, RequestInit, Response};

impl RoomController {
    /// Saves the log of the room in a format. `state` says how it goes; a second file waits for the
    /// first.
    pub fn export(&self, format: ExportFormat, state: RwSignal<ExportState>) {
        if state.get_untracked() == ExportState::Running {
            return;
        }
        let session = self.session.borrow().clone();
        let Some(session) = session else {
            return state.set(ExportState::Failed(ExportFailure::NotJoined));
        };
        state.set(ExportState::Running);
        let (me, path) = (self.me.clone(), format.path(&self.room));
        spawn_local(async move {
            let result = fetch(&path, session.expose()).await;
            let Some(controller) = me.upgrade() else {
                return;
            };
            let file = result.and_then(|blob| PageFile::of(&blob).ok_or(ExportFailure::Lost));
            let _ = state.try_set(match file {
                Ok(file) => {
                    file.download(&format.file_name(&controller.room));
                    // The browser reads the file after this, at the latest until the next one.
                    *controller.exported.borrow_mut() = Some(file);
                    ExportState::Saved
                }
                Err(failure) => ExportState::Failed(failure),
            });
        });
    }
}

/// The whole body of a response.
async fn fetch(path: &str, session: &str) -> Result<Blob, ExportFailure> {
    let response = send(path, session).await.map_err(|_| ExportFailure::Lost)?;
    let header = |name| response.headers().get(name).ok().flatten();
    let (refusal, retry_after) = (header(REFUSAL_HEADER), header("retry-after"));
    let failure = ExportFailure::of(
        response.status(),
        refusal.as_deref(),
        retry_after.as_deref(),
    );
    if let Some(failure) = failure {
        return Err(failure);
    }
    let blob = call(&response, "blob").and_then(|blob| blob.dyn_into::<Promise>().ok());
    let blob = JsFuture::from(blob.ok_or(ExportFailure::Lost)?).await;
    // Fails if the server cut the file off.
    let blob = blob.map_err(|_| ExportFailure::Lost)?;
    blob.dyn_into().map_err(|_| ExportFailure::Lost)
}

/// Sends the request; returns when the head of the response has arrived.
async fn send(path: &str, session: &str) -> Result<Response, JsValue> {
    let window = web_sys::window().ok_or(JsValue::UNDEFINED)?;
    let headers = Headers::new()?;
    headers.set(SESSION_HEADER, session)?;
    let request = RequestInit::new();
    request.set_headers(&headers);
    let answer = window.fetch_with_str_and_init(&address(path), &request);
    Ok(JsFuture::from(answer).await?.into())
}

//! Requests to the server that can be aborted together.

use crate::paths::address;
use crate::protocol::REFUSAL_HEADER;
use crate::state::connection::Refused;
use js_sys::Reflect;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, RequestInit, Response};

/// The header that identifies the polling connection of a request.
const CONNECTION: &str = "noom-connection";

/// Why a request has no usable response.
pub enum Failure {
    /// The request or its response was lost, or an intermediary answered.
    Lost,
    /// The server or a proxy refuses the request; the reason, if known.
    Refused(Option<Refused>),
    /// Aborted by [`Fetcher::stop`].
    Stopped,
}

/// Sends `fetch` requests until stopped.
pub struct Fetcher {
    abort: AbortController,
}

impl Fetcher {
    /// `None` if the browser has no `AbortController`.
    pub fn new() -> Option<Self> {
        let abort = AbortController::new().ok()?;
        Some(Self { abort })
    }

    /// Aborts pending requests and all later ones.
    pub fn stop(&self) {
        self.abort.abort();
    }

    /// Sends a request, optionally for a polling connection and with a JSON body. Returns the
    /// JSON of the response, or `undefined` if it has no body.
    ///
    /// # Errors
    /// A [`Failure`]; only [`Failure::Lost`] may succeed when repeated.
    pub async fn fetch(
        &self,
        method: &str,
        path: &str,
        connection: Option<&str>,
        body: Option<&str>,
    ) -> Result<JsValue, Failure> {
        let answer = self.send(method, path, connection, body).await;
        if self.abort.signal().aborted() {
            return Err(Failure::Stopped);
        }
        let answer = answer.map_err(|_| Failure::Lost)?;
        let refused = refused(&answer);
        match answer.status() {
            204 => Ok(JsValue::UNDEFINED),
            200..300 => json(&answer).await.map_err(|_| Failure::Lost),
            status if status >= 500 && refused.is_none() => Err(Failure::Lost),
            _ => Err(Failure::Refused(refused)),
        }
    }

    /// Sends a request; returns when the head of the response has arrived.
    async fn send(
        &self,
        method: &str,
        path: &str,
        connection: Option<&str>,
        body: Option<&str>,
    ) -> Result<Response, JsValue> {
        let request = RequestInit::new();
        request.set_method(method);
        request.set_signal(Some(&self.abort.signal()));
        let headers = Headers::new()?;
        if let Some(connection) = connection {
            headers.set(CONNECTION, connection)?;
        }
        if let Some(body) = body {
            headers.set("content-type", "application/json")?;
            request.set_body(&body.into());
        }
        request.set_headers(&headers);
        let window = web_sys::window().ok_or(JsValue::UNDEFINED)?;
        let answer = window.fetch_with_str_and_init(&address(path), &request);
        Ok(JsFuture::from(answer).await?.into())
    }
}

/// Sends a request that outlives the page (`keepalive`); its response is ignored.
pub fn send_at_last(path: &str, connection: &str) {
    let (Some(window), Ok(headers)) = (web_sys::window(), Headers::new()) else {
        return;
    };
    let request = RequestInit::new();
    request.set_method("POST");
    // Not in web-sys without its unstable interfaces.
    let _ = Reflect::set(&request, &"keepalive".into(), &JsValue::TRUE);
    let _ = headers.set(CONNECTION, connection);
    request.set_headers(&headers);
    let sent = window.fetch_with_str_and_init(&address(path), &request);
    // Browsers log unhandled rejections to the console.
    wasm_bindgen_futures::spawn_local(async move { drop(JsFuture::from(sent).await) });
}

/// The reason of a refusal, if the response has one.
fn refused(answer: &Response) -> Option<Refused> {
    let header = |name| answer.headers().get(name).ok().flatten();
    let (refusal, retry_after) = (header(REFUSAL_HEADER), header("retry-after"));
    Refused::read(answer.status(), refusal.as_deref(), retry_after.as_deref())
}

/// Asks the server why a WebSocket was refused, which the browser does not report. `None` if
/// neither the server nor a proxy refuses it, or without a response.
pub async fn ask_refusal() -> Option<Refused> {
    let answer = Fetcher::new()?.fetch("POST", "/ws", None, None).await;
    match answer {
        Err(Failure::Refused(refused)) => refused,
        Ok(_) | Err(Failure::Lost | Failure::Stopped) => None,
    }
}

/// The text of a file of this server; `None` if it does not send it.
pub async fn text(path: &str) -> Option<String> {
    let answer = JsFuture::from(web_sys::window()?.fetch_with_str(&address(path))).await;
    let answer: Response = answer.ok()?.into();
    let text = JsFuture::from(answer.ok().then(|| answer.text().ok())??).await;
    text.ok()?.as_string()
}

/// The JSON of a response.
async fn json(answer: &Response) -> Result<JsValue, JsValue> {
    JsFuture::from(answer.json()?).await
}

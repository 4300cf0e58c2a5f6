//! Requests to our own server that can be given up together.

use crate::protocol::REFUSAL_HEADER;
use crate::state::connection::Refused;
use js_sys::Reflect;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, RequestInit, Response};

/// The header that says which polling connection a request is about.
const CONNECTION: &str = "noom-connection";

/// Why there is no answer.
pub enum Failure {
    /// It was lost, or something in between answered in place of the server.
    Lost,
    /// The server or a proxy refuses; the reason, if it is known.
    Refused(Option<Refused>),
    /// [`Fetcher::stop`].
    Stopped,
}

/// Sends `fetch` requests until stopped.
pub struct Fetcher {
    abort: AbortController,
}

impl Fetcher {
    /// None if the browser cannot abort requests.
    pub fn new() -> Option<Self> {
        let abort = AbortController::new().ok()?;
        Some(Self { abort })
    }

    /// Gives up what is under way, and whatever is asked later.
    pub fn stop(&self) {
        self.abort.abort();
    }

    /// Sends a request, about a polling connection and with a body of JSON perhaps; answers the JSON of the answer,
    /// undefined where it has none.
    ///
    /// # Errors
    /// A [`Failure`]; only [`Failure::Lost`] is worth another try.
    pub async fn fetch(
        &self,
        method: &str,
        url: &str,
        connection: Option<&str>,
        body: Option<&str>,
    ) -> Result<JsValue, Failure> {
        let answer = self.send(method, url, connection, body).await;
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

    /// Sends a request; answers when the head of the answer is there.
    async fn send(
        &self,
        method: &str,
        url: &str,
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
        let answer = window.fetch_with_str_and_init(url, &request);
        Ok(JsFuture::from(answer).await?.into())
    }
}

/// Sends a request that outlives the page; nobody hears its answer.
pub fn send_at_last(url: &str, connection: &str) {
    let (Some(window), Ok(headers)) = (web_sys::window(), Headers::new()) else {
        return;
    };
    let request = RequestInit::new();
    request.set_method("POST");
    // Not in web-sys without its unstable interfaces.
    let _ = Reflect::set(&request, &"keepalive".into(), &JsValue::TRUE);
    let _ = headers.set(CONNECTION, connection);
    request.set_headers(&headers);
    let sent = window.fetch_with_str_and_init(url, &request);
    // Browsers log unhandled rejections to the console.
    wasm_bindgen_futures::spawn_local(async move { drop(JsFuture::from(sent).await) });
}

/// Why an answer refuses, where it says so.
fn refused(answer: &Response) -> Option<Refused> {
    let header = |name| answer.headers().get(name).ok().flatten();
    let (refusal, retry_after) = (header(REFUSAL_HEADER), header("retry-after"));
    Refused::read(answer.status(), refusal.as_deref(), retry_after.as_deref())
}

/// Asks why no WebSocket was opened: a browser does not say. None if the server, or what
/// is in front of it, refuses none, or where nobody answers.
pub async fn ask_refusal() -> Option<Refused> {
    let answer = Fetcher::new()?.fetch("POST", "/ws", None, None).await;
    match answer {
        Err(Failure::Refused(refused)) => refused,
        Ok(_) | Err(Failure::Lost | Failure::Stopped) => None,
    }
}

/// The JSON of an answer.
async fn json(answer: &Response) -> Result<JsValue, JsValue> {
    JsFuture::from(answer.json()?).await
}

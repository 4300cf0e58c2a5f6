//! Requests to our own server that can be given up together.

use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, RequestInit, Response};

/// Why there is no answer.
pub enum Failure {
    /// It was lost, or something in between answered in place of the server.
    Lost,
    /// The server refuses.
    Refused,
    /// [`Fetcher::stop`].
    Stopped,
}

/// Makes requests.
pub struct Fetcher {
    abort: AbortController,
}

impl Fetcher {
    /// Nothing where the browser cannot give requests up.
    pub fn new() -> Option<Self> {
        let abort = AbortController::new().ok()?;
        Some(Self { abort })
    }

    /// Gives up what is under way, and whatever is asked later.
    pub fn stop(&self) {
        self.abort.abort();
    }

    /// Sends a request, with a body of JSON perhaps; answers the JSON of the answer,
    /// undefined where it has none.
    ///
    /// # Errors
    /// A [`Failure`]; only [`Failure::Lost`] is worth another try.
    pub async fn fetch(
        &self,
        method: &str,
        url: &str,
        body: Option<&str>,
    ) -> Result<JsValue, Failure> {
        let answer = self.send(method, url, body).await;
        if self.abort.signal().aborted() {
            return Err(Failure::Stopped);
        }
        let answer = answer.map_err(|_| Failure::Lost)?;
        match answer.status() {
            204 => Ok(JsValue::UNDEFINED),
            200..300 => json(&answer).await.map_err(|_| Failure::Lost),
            status if status >= 500 => Err(Failure::Lost),
            _ => Err(Failure::Refused),
        }
    }

    /// Sends a request; answers when the head of the answer is there.
    async fn send(&self, method: &str, url: &str, body: Option<&str>) -> Result<Response, JsValue> {
        let request = RequestInit::new();
        request.set_method(method);
        request.set_signal(Some(&self.abort.signal()));
        if let Some(body) = body {
            let headers = Headers::new()?;
            headers.set("content-type", "application/json")?;
            request.set_headers(&headers);
            request.set_body(&body.into());
        }
        let window = web_sys::window().ok_or(JsValue::UNDEFINED)?;
        let answer = window.fetch_with_str_and_init(url, &request);
        Ok(JsFuture::from(answer).await?.into())
    }
}

/// The JSON of an answer.
async fn json(answer: &Response) -> Result<JsValue, JsValue> {
    JsFuture::from(answer.json()?).await
}

//! The room protocol over HTTP long-polling, for networks that block WebSocket.
//!
//! One request waits for the server's frames, another sends the page's. Both are repeated until
//! they are answered; the server recognises a repetition. `docs/protocol.md` specifies the
//! requests.

use crate::browser::dom::js::Listener;
use crate::browser::net::fetch::{self, Failure, Fetcher};
use crate::browser::net::websocket::{RECONNECTING, TransportEvent};
use crate::state::batch::next_batch;
use crate::state::connection::Refused;
use gloo_timers::future::TimeoutFuture;
use js_sys::{Array, JSON, Reflect};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

/// Attempts per request before the connection counts as lost.
const TRIES: u32 = 3;
/// Delay between two attempts, in milliseconds.
const TRY_AGAIN_MS: u32 = 1_000;
/// Close code of a page that is closed (RFC 6455 7.4.1), the one that browsers send for a
/// WebSocket.
const GOING_AWAY: u16 = 1001;
/// Close code of a deliberate close (RFC 6455 7.4.1).
const NORMAL: u16 = 1000;
/// Close code of a lost connection (RFC 6455 7.4.1).
const ABNORMAL: u16 = 1006;

/// An open or opening connection. Dropping it closes it; no further event is reported.
pub struct LongPoll {
    inner: Rc<Inner>,
    _page_hides: Option<Listener>,
}

/// The state that the requests share.
struct Inner {
    /// Called with each event.
    on_event: Box<dyn Fn(TransportEvent)>,
    /// Sends the requests for frames; stopped at the end.
    listening: Fetcher,
    /// Sends the requests with frames.
    saying: Fetcher,
    /// The secret of the connection, while it is open.
    connection: RefCell<Option<String>>,
    /// Frames for the next request.
    waiting: RefCell<VecDeque<String>>,
    /// Whether a request with frames is in flight.
    posting: Cell<bool>,
    /// Number of the last batch.
    batch: Cell<u32>,
    /// Whether the connection has ended.
    over: Cell<bool>,
}

impl LongPoll {
    /// Opens a connection; `on_event` receives its events. `None` if the browser has no
    /// `AbortController`.
    pub fn open(on_event: impl Fn(TransportEvent) + 'static) -> Option<Self> {
        let inner = Rc::new(Inner {
            on_event: Box::new(on_event),
            listening: Fetcher::new()?,
            saying: Fetcher::new()?,
            connection: RefCell::default(),
            waiting: RefCell::default(),
            posting: Cell::new(false),
            batch: Cell::new(0),
            over: Cell::new(false),
        });
        spawn_local(inner.clone().listen());
        let page = Rc::downgrade(&inner);
        let page_hides = web_sys::window().map(|window| {
            Listener::new(&window, "pagehide", move |_| {
                if let Some(inner) = page.upgrade() {
                    inner.say_goodbye(GOING_AWAY);
                }
            })
        });
        Some(Self {
            inner,
            _page_hides: page_hides,
        })
    }

    /// Sends a frame. Returns false if the connection is not open.
    pub fn send(&self, frame: &str) -> bool {
        if self.inner.connection.borrow().is_none() {
            return false;
        }
        self.inner.waiting.borrow_mut().push_back(frame.to_owned());
        if !self.inner.posting.replace(true) {
            spawn_local(self.inner.clone().post());
        }
        true
    }

    /// Whether a request with frames is in flight.
    pub fn is_busy(&self) -> bool {
        self.inner.posting.get()
    }

    /// Leaves the room, after the sent frames: the others are notified at once.
    pub fn leave(self) {
        self.inner.over.set(true);
        self.inner.listening.stop();
        if !self.inner.posting.get() {
            self.inner.say_goodbye(NORMAL);
        }
    }
}

impl Drop for LongPoll {
    /// Closes in order to reconnect: the server keeps the membership for a while.
    fn drop(&mut self) {
        if !self.inner.over.replace(true) {
            self.inner.listening.stop();
            self.inner.saying.stop();
            self.inner.say_goodbye(RECONNECTING);
        }
    }
}

impl Inner {
    /// Opens the connection and receives frames until its end.
    async fn listen(self: Rc<Self>) {
        let opened = self.listening.fetch("POST", "/poll", None, None).await;
        if let Err(Failure::Refused(Some(refused))) = opened {
            return self.refuse(refused);
        }
        let secret = opened.ok().and_then(|answer| text(&answer, "connection"));
        if self.over.get() || secret.is_none() {
            return self.end(ABNORMAL);
        }
        *self.connection.borrow_mut() = secret;
        (self.on_event)(TransportEvent::Open);
        let mut after = 0.0;
        while !self.over.get() {
            let query = format!("after={after}");
            match self.request(&self.listening, "GET", &query, None).await {
                Some(answer) => after = self.take_in(&answer).unwrap_or(after),
                None => self.end(ABNORMAL),
            }
        }
    }

    /// Reports the frames of a response; returns the `after` of the next request.
    fn take_in(&self, answer: &JsValue) -> Option<f64> {
        self.tell(TransportEvent::Alive);
        let frames = Reflect::get(answer, &"frames".into()).ok()?;
        for frame in Array::from(&frames) {
            if let Some(frame) = JSON::stringify(&frame).ok().and_then(|f| f.as_string()) {
                self.tell(TransportEvent::Frame(frame));
            }
        }
        if let Some(code) = number(answer, "close") {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "close codes have four digits"
            )]
            self.end(code as u16);
        }
        number(answer, "next")
    }

    /// Sends the waiting frames, one request at a time.
    async fn post(self: Rc<Self>) {
        loop {
            let Some(body) = next_batch(&mut self.waiting.borrow_mut()) else {
                break;
            };
            self.batch.set(self.batch.get() + 1);
            let query = format!("batch={}", self.batch.get());
            let taken = self
                .request(&self.saying, "POST", &query, Some(&body))
                .await;
            if taken.is_none() {
                self.end(ABNORMAL);
                break;
            }
        }
        self.posting.set(false);
        if self.over.get() {
            self.say_goodbye(NORMAL);
        }
    }

    /// Repeats a request until it is answered. `None` once the connection has ended.
    async fn request(
        &self,
        fetcher: &Fetcher,
        method: &str,
        query: &str,
        body: Option<&str>,
    ) -> Option<JsValue> {
        let secret = self.connection.borrow().clone()?;
        let path = format!("/poll?{query}");
        for _ in 0..TRIES {
            match fetcher.fetch(method, &path, Some(&secret), body).await {
                Ok(answer) => return Some(answer),
                Err(Failure::Refused(_) | Failure::Stopped) => return None,
                Err(Failure::Lost) => TimeoutFuture::new(TRY_AGAIN_MS).await,
            }
        }
        None
    }

    /// Reports an event, unless the connection has ended.
    fn tell(&self, event: TransportEvent) {
        if !self.over.get() {
            (self.on_event)(event);
        }
    }

    /// The connection ended with `code`.
    fn end(&self, code: u16) {
        if !self.over.replace(true) {
            self.connection.borrow_mut().take();
            (self.on_event)(TransportEvent::Closed(code));
        }
    }

    /// The connection was refused with a reason.
    fn refuse(&self, refused: Refused) {
        if !self.over.replace(true) {
            (self.on_event)(TransportEvent::Refused(refused));
        }
    }

    /// Sends the close request, which outlives the page.
    fn say_goodbye(&self, code: u16) {
        if let Some(secret) = self.connection.borrow_mut().take() {
            fetch::send_at_last(&format!("/poll?close={code}"), &secret);
        }
    }
}

/// A string field of a JSON object.
fn text(object: &JsValue, name: &str) -> Option<String> {
    Reflect::get(object, &name.into()).ok()?.as_string()
}

/// A number field of a JSON object.
fn number(object: &JsValue, name: &str) -> Option<f64> {
    Reflect::get(object, &name.into()).ok()?.as_f64()
}

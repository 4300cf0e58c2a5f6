//! The room protocol by HTTP requests, for networks that block WebSocket.
//!
//! One request waits for what the server says, another brings what the page says; both
//! are repeated until they are answered, which the server takes for what it is. The wire
//! is in `docs/protocol.md`.

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

/// How often one request is sent before the connection counts as lost.
const TRIES: u32 = 3;
/// Between two of these, in milliseconds.
const TRY_AGAIN_MS: u32 = 1_000;
/// The close code of a page that is left (RFC 6455 7.4.1): what browsers send for a socket.
const GOING_AWAY: u16 = 1001;
/// Closed on purpose (RFC 6455 7.4.1).
const NORMAL: u16 = 1000;
/// No close code at all: the line broke (RFC 6455 7.4.1).
const ABNORMAL: u16 = 1006;

/// An open or opening connection; dropped, it closes and says nothing more.
pub struct LongPoll {
    inner: Rc<Inner>,
    _page_hides: Option<Listener>,
}

/// What the requests share.
struct Inner {
    /// Called with each event.
    on_event: Box<dyn Fn(TransportEvent)>,
    /// Asks what the server says; stopped once nobody listens.
    listening: Fetcher,
    /// Brings what the page says.
    saying: Fetcher,
    /// The secret, while the connection is open.
    connection: RefCell<Option<String>>,
    /// Frames for the next request.
    waiting: RefCell<VecDeque<String>>,
    /// Whether a request with frames is under way.
    posting: Cell<bool>,
    /// The number of the last batch.
    batch: Cell<u32>,
    /// Nobody listens any more.
    over: Cell<bool>,
}

impl LongPoll {
    /// Opens a connection; `on_event` gets its events. None if the browser
    /// cannot.
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

    /// Sends a frame. False where the connection is not open (any more).
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

    /// Whether a request with frames is under way.
    pub fn is_busy(&self) -> bool {
        self.inner.posting.get()
    }

    /// Closes on purpose, after what has been sent: the others learn of it at once.
    pub fn leave(self) {
        self.inner.over.set(true);
        self.inner.listening.stop();
        if !self.inner.posting.get() {
            self.inner.say_goodbye(NORMAL);
        }
    }
}

impl Drop for LongPoll {
    /// Closes to come back by another connection: the server keeps the place for a while.
    fn drop(&mut self) {
        if !self.inner.over.replace(true) {
            self.inner.listening.stop();
            self.inner.saying.stop();
            self.inner.say_goodbye(RECONNECTING);
        }
    }
}

impl Inner {
    /// Opens the connection and listens to its end.
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

    /// Tells what an answer holds; answers what to ask for next.
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

    /// Hands in what waits, one request after the other.
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

    /// Repeats a request until it is answered. None once the connection has ended.
    async fn request(
        &self,
        fetcher: &Fetcher,
        method: &str,
        query: &str,
        body: Option<&str>,
    ) -> Option<JsValue> {
        let secret = self.connection.borrow().clone()?;
        let url = format!("/poll?{query}");
        for _ in 0..TRIES {
            match fetcher.fetch(method, &url, Some(&secret), body).await {
                Ok(answer) => return Some(answer),
                Err(Failure::Refused(_) | Failure::Stopped) => return None,
                Err(Failure::Lost) => TimeoutFuture::new(TRY_AGAIN_MS).await,
            }
        }
        None
    }

    /// Passes an event on, while somebody listens.
    fn tell(&self, event: TransportEvent) {
        if !self.over.get() {
            (self.on_event)(event);
        }
    }

    /// The connection is no more.
    fn end(&self, code: u16) {
        if !self.over.replace(true) {
            self.connection.borrow_mut().take();
            (self.on_event)(TransportEvent::Closed(code));
        }
    }

    /// There is no connection, and somebody says why.
    fn refuse(&self, refused: Refused) {
        if !self.over.replace(true) {
            (self.on_event)(TransportEvent::Refused(refused));
        }
    }

    /// Tells the server, if it still knows the connection, and says no more. This outlives
    /// the page.
    fn say_goodbye(&self, code: u16) {
        if let Some(secret) = self.connection.borrow_mut().take() {
            fetch::send_at_last(&format!("/poll?close={code}"), &secret);
        }
    }
}

/// A text of a JSON object.
fn text(object: &JsValue, name: &str) -> Option<String> {
    Reflect::get(object, &name.into()).ok()?.as_string()
}

/// A number of a JSON object.
fn number(object: &JsValue, name: &str) -> Option<f64> {
    Reflect::get(object, &name.into()).ok()?.as_f64()
}

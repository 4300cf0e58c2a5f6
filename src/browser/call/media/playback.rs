//! Plays streams in the page's elements, through the chosen speaker.
//!
//! The autoplay policy may block sound until the user interacts with the page. Blocked elements
//! are played at the first pointer or key event.

use crate::browser::dom::js::Listener;
use crate::state::call::{CallState, CallStateStoreFields, Notice};
use leptos::prelude::*;
use reactive_stores::Store;
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{HtmlMediaElement, MediaStream};

/// Plays streams and keeps the blocked elements.
pub struct Playback {
    me: Weak<Self>,
    state: Store<CallState>,
    blocked: RefCell<Vec<HtmlMediaElement>>,
    /// Listeners for the first interaction, while any element is blocked.
    listeners: RefCell<Vec<Listener>>,
}

impl Playback {
    /// Nothing plays yet.
    pub fn new(state: Store<CallState>) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            state,
            blocked: RefCell::default(),
            listeners: RefCell::default(),
        })
    }

    /// Plays a stream in an element; the own stream is silent.
    pub fn play(&self, element: &HtmlMediaElement, stream: Option<&MediaStream>, mine: bool) {
        if element.src_object().as_ref() != stream {
            element.set_src_object(stream);
        }
        element.set_muted(mine);
        if !mine {
            self.choose_speaker(element);
        }
        self.start(element);
    }

    /// Drops the blocked elements.
    pub fn stop(&self) {
        self.blocked.borrow_mut().clear();
        self.listeners.borrow_mut().clear();
    }

    fn choose_speaker(&self, element: &HtmlMediaElement) {
        let get = |name: &str| js_sys::Reflect::get(element, &name.into()).unwrap_or_default();
        let speaker = self.state.choices().read_untracked().speaker.clone();
        let present = get("sinkId").as_string().unwrap_or_default();
        let method = get("setSinkId").dyn_into::<js_sys::Function>().ok();
        if let Some(method) = method.filter(|_| present != speaker) {
            settle(method.call1(element, &speaker.into()));
        }
    }

    fn start(&self, element: &HtmlMediaElement) {
        let Ok(promise) = element.play() else { return };
        let (me, element) = (self.me.clone(), element.clone());
        spawn_local(async move {
            if let (Err(error), Some(playback)) = (JsFuture::from(promise).await, me.upgrade())
                && is_refusal(&error)
            {
                playback.wait_for_touch(element);
            }
        });
    }

    fn wait_for_touch(&self, element: HtmlMediaElement) {
        self.blocked.borrow_mut().push(element);
        self.state.notice().set(Some(Notice::SoundBlocked));
        let Some(window) = web_sys::window().filter(|_| self.listeners.borrow().is_empty()) else {
            return;
        };
        let touches = ["pointerup", "keydown"].map(|event| {
            let me = self.me.clone();
            Listener::new(&window, event, move |_| {
                if let Some(playback) = me.upgrade() {
                    playback.touched();
                }
            })
        });
        *self.listeners.borrow_mut() = touches.into();
    }

    fn touched(&self) {
        let blocked = std::mem::take(&mut *self.blocked.borrow_mut());
        self.stop();
        self.state.notice().maybe_update(|notice| {
            let ours = *notice == Some(Notice::SoundBlocked);
            if ours {
                *notice = None;
            }
            ours
        });
        let shown = blocked.iter().filter(|element| element.is_connected());
        shown.for_each(|element| self.start(element));
    }
}

/// Whether the autoplay policy blocked the element.
fn is_refusal(error: &JsValue) -> bool {
    let name = js_sys::Reflect::get(error, &"name".into()).ok();
    name.and_then(|name| name.as_string()).as_deref() == Some("NotAllowedError")
}

/// Awaits a promise and ignores its failure.
pub fn settle(promise: Result<JsValue, JsValue>) {
    let promise = promise
        .ok()
        .and_then(|value| value.dyn_into::<js_sys::Promise>().ok());
    if let Some(promise) = promise {
        spawn_local(async move {
            let _ = JsFuture::from(promise).await;
        });
    }
}

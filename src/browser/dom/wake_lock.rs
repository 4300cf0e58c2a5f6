//! Keeps the screen on (Screen Wake Lock API), if the browser supports and grants it.

use crate::browser::dom::js::Listener;
use js_sys::{Function, Promise, Reflect};
use leptos::task::spawn_local;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Keeps the screen on until dropped. Browsers release the lock when the page is hidden, so it
/// is requested again when the page is visible.
pub struct WakeLock {
    me: Weak<Self>,
    /// The granted lock.
    lock: RefCell<Option<JsValue>>,
    /// Whether a request is pending.
    asking: Cell<bool>,
    _visible: Option<Listener>,
}

impl WakeLock {
    /// Keeps the screen on from now on.
    pub fn hold() -> Rc<Self> {
        let wake_lock = Rc::new_cyclic(|me: &Weak<Self>| {
            let document = web_sys::window().and_then(|window| window.document());
            let seen = me.clone();
            let visible = document.map(|document| {
                Listener::new(&document.clone(), "visibilitychange", move |_| {
                    if let Some(wake_lock) = seen.upgrade().filter(|_| !document.hidden()) {
                        wake_lock.ask();
                    }
                })
            });
            Self {
                me: me.clone(),
                lock: RefCell::default(),
                asking: Cell::new(false),
                _visible: visible,
            }
        });
        wake_lock.ask();
        wake_lock
    }

    /// Requests the lock, unless it is held or a request is pending.
    fn ask(&self) {
        let holds = self.lock.borrow().as_ref().is_some_and(|lock| {
            let released = Reflect::get(lock, &"released".into());
            released.is_ok_and(|released| released.is_falsy())
        });
        if holds || self.asking.get() {
            return;
        }
        let Some(asked) = request() else { return };
        self.asking.set(true);
        let me = self.me.clone();
        spawn_local(async move {
            let answer = JsFuture::from(asked).await;
            match (me.upgrade(), answer) {
                (Some(wake_lock), answer) => {
                    wake_lock.asking.set(false);
                    *wake_lock.lock.borrow_mut() = answer.ok();
                }
                // Dropped while the request was pending.
                (None, Ok(lock)) => release(&lock),
                (None, Err(_)) => {}
            }
        });
    }
}

impl Drop for WakeLock {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            release(&lock);
        }
    }
}

/// `navigator.wakeLock.request("screen")`. Not in web-sys without its unstable interfaces.
fn request() -> Option<Promise> {
    let navigator = web_sys::window()?.navigator();
    let wake_lock = Reflect::get(&navigator, &"wakeLock".into()).ok()?;
    // A browser without the API has no `wakeLock`.
    let request = Reflect::get(&wake_lock, &"request".into()).ok()?;
    let request: Function = request.dyn_into().ok()?;
    let asked = request.call1(&wake_lock, &"screen".into()).ok()?;
    asked.dyn_into().ok()
}

/// `lock.release()`. The promise is awaited, or browsers log its rejection.
fn release(lock: &JsValue) {
    let release = Reflect::get(lock, &"release".into()).ok();
    let release = release.and_then(|release| release.dyn_into::<Function>().ok());
    let released = release.and_then(|release| release.call0(lock).ok());
    if let Some(released) = released.and_then(|released| released.dyn_into::<Promise>().ok()) {
        spawn_local(async move { drop(JsFuture::from(released).await) });
    }
}

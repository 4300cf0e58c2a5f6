//! Notifications of the desktop (Notifications API). One at a time: a page has one room.

use crate::browser::dom::js::{Listener, call, get};
use crate::paths::base;
use crate::protocol::RoomName;
use crate::state::alert::Permission;
use js_sys::{Array, Function, Object, Promise, Reflect};
use leptos::task::spawn_local;
use std::cell::RefCell;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::EventTarget;

thread_local! {
    /// The notification of this page.
    static SHOWN: RefCell<Option<Shown>> = const { RefCell::new(None) };
}

/// A notification, closed when dropped.
struct Shown {
    notification: JsValue,
    _click: Listener,
}

impl Drop for Shown {
    fn drop(&mut self) {
        call(&self.notification, "close");
    }
}

/// The class of notifications; `None` if the browser has none.
fn class() -> Option<JsValue> {
    let window = JsValue::from(web_sys::window()?);
    get(&window, "Notification")
}

/// Whether this page may show notifications.
pub fn permission() -> Permission {
    let is_secure = web_sys::window().is_some_and(|window| window.is_secure_context());
    let granted = class().and_then(|class| get(&class, "permission")?.as_string());
    Permission::of(is_secure, granted.as_deref())
}

/// Asks for the permission; `done` gets the answer. The browser asks only in response to a press.
pub fn ask(done: impl FnOnce(Permission) + 'static) {
    let answer = class().and_then(|class| call(&class, "requestPermission"));
    let answer = answer.and_then(|answer| answer.dyn_into::<Promise>().ok());
    spawn_local(async move {
        if let Some(answer) = answer {
            let _ = JsFuture::from(answer).await;
        }
        done(permission());
    });
}

/// Shows a notification in place of the former one; the pages of a room share one. A press leads to
/// this page. `None` if the browser shows none from a page, as on Android.
pub fn show(title: &str, body: &str, room: &RoomName) -> Option<()> {
    close();
    let tag = format!("noom{}:{room}", base());
    let options = Object::new();
    for (name, value) in [
        ("body", body.into()),
        ("tag", tag.into()),
        // Without it a notification that replaces another is not noticed.
        ("renotify", JsValue::TRUE),
        // The page has a sound of its own, with its own switch.
        ("silent", JsValue::TRUE),
    ] {
        let _ = Reflect::set(&options, &JsValue::from_str(name), &value);
    }
    let arguments = Array::of1(&title.into());
    arguments.push(&options);
    let notification = construct(&class()?, &arguments)?;
    let target: &EventTarget = notification.unchecked_ref();
    let pressed = notification.clone();
    let click = Listener::new(target, "click", move |_| {
        if let Some(window) = web_sys::window() {
            call(&window, "focus");
        }
        call(&pressed, "close");
    });
    SHOWN.set(Some(Shown {
        notification,
        _click: click,
    }));
    Some(())
}

/// Closes the notification.
pub fn close() {
    drop(SHOWN.take());
}

/// Returns `new class(...arguments)`, if the class exists.
fn construct(class: &JsValue, arguments: &Array) -> Option<JsValue> {
    let reflect = get(&js_sys::global(), "Reflect")?;
    let construct: Function = get(&reflect, "construct")?.dyn_into().ok()?;
    construct.call2(&reflect, class, arguments).ok()
}

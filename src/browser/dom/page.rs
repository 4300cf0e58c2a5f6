//! Notifications to the script that started the page (`src/start.js`).

use crate::browser::dom::theme;
use js_sys::{Function, Reflect};
use leptos::server_fn::client::try_set_server_url;
use std::cell::RefCell;
use std::panic::PanicHookInfo;
use wasm_bindgen::{JsCast, JsValue};

thread_local! {
    /// The path of a navigation whose module is loading.
    static HEADING: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The router navigates to `path` and loads its module.
pub fn heading_for(path: String) {
    HEADING.set(Some(path));
}

/// The module of the navigation has loaded.
pub fn arrived() {
    HEADING.set(None);
}

/// The whole page is hydrated.
pub fn hydrated() {
    notify("hydrated", &JsValue::UNDEFINED);
}

/// Keeps what is typed, and loads the page again as soon as the server answers.
pub fn reload() {
    notify("failed", &JsValue::UNDEFINED);
}

/// Prepares the module: reads the base path of the server (`<html data-base>`), and installs a
/// panic hook that logs to the console and notifies the script, because a panic ends the module,
/// and the page has to reload.
pub fn prepare() {
    std::panic::set_hook(Box::new(panicked));
    let base = theme::root().and_then(|root| root.get_attribute("data-base"));
    if let Some(base) = base {
        // Called once per document, so that the text is leaked once.
        let _ = try_set_server_url(base.leak());
    }
}

fn panicked(info: &PanicHookInfo<'_>) {
    console_error_panic_hook::hook(info);
    let path = HEADING.with(|heading| heading.try_borrow().ok()?.clone());
    notify("failed", &path.map_or(JsValue::UNDEFINED, JsValue::from));
}

/// Calls a function of the script, if it is defined.
fn notify(name: &str, fact: &JsValue) {
    let page = web_sys::window().and_then(|window| get(&window, "noom"));
    let function = page.as_ref().and_then(|page| get(page, name));
    if let Some(function) = function.and_then(|function| function.dyn_into::<Function>().ok()) {
        // An exception of the script cannot be reported anywhere else.
        let _ = function.call1(&JsValue::UNDEFINED, fact);
    }
}

fn get(object: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(object, &JsValue::from_str(name)).ok()
}

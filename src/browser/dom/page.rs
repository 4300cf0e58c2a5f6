//! What the script that started the page is told (`src/start.js`).

use js_sys::{Function, Reflect};
use std::cell::RefCell;
use std::panic::PanicHookInfo;
use wasm_bindgen::{JsCast, JsValue};

thread_local! {
    /// The path that is being gone to while what draws it is loaded.
    static HEADING: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The router goes to `path`, and loads what draws it.
pub fn heading_for(path: String) {
    HEADING.set(Some(path));
}

/// What draws it is there.
pub fn arrived() {
    HEADING.set(None);
}

/// All of the page is hydrated.
pub fn hydrated() {
    tell("hydrated", &JsValue::UNDEFINED);
}

/// From now on a panic is written to the console and told to the page: it ends the module,
/// and the page has to start anew.
pub fn report_panics() {
    std::panic::set_hook(Box::new(panicked));
}

fn panicked(info: &PanicHookInfo<'_>) {
    console_error_panic_hook::hook(info);
    let path = HEADING.with(|heading| heading.try_borrow().ok()?.clone());
    tell("failed", &path.map_or(JsValue::UNDEFINED, JsValue::from));
}

/// Calls a function of the script, where it is there.
fn tell(name: &str, fact: &JsValue) {
    let page = web_sys::window().and_then(|window| get(&window, "noom"));
    let function = page.as_ref().and_then(|page| get(page, name));
    if let Some(function) = function.and_then(|function| function.dyn_into::<Function>().ok()) {
        // What it throws is its own affair: there is nobody else to tell.
        let _ = function.call1(&JsValue::UNDEFINED, fact);
    }
}

fn get(object: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(object, &JsValue::from_str(name)).ok()
}

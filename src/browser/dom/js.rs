//! Event listeners that are removed on drop, and functions of the browser by name.

use js_sys::{Function, Reflect};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Event, EventTarget};

/// A listener on an event target, until dropped.
pub struct Listener {
    target: EventTarget,
    event: &'static str,
    closure: Closure<dyn FnMut(Event)>,
}

impl Listener {
    /// Calls `action` at every `event` of `target`.
    pub fn new(
        target: &EventTarget,
        event: &'static str,
        action: impl FnMut(Event) + 'static,
    ) -> Self {
        let closure = Closure::<dyn FnMut(Event)>::new(action);
        // Fails only if the callback is not a function.
        let _ = target.add_event_listener_with_callback(event, closure.as_ref().unchecked_ref());
        Self {
            target: target.clone(),
            event,
            closure,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let callback = self.closure.as_ref().unchecked_ref();
        let _ = self
            .target
            .remove_event_listener_with_callback(self.event, callback);
    }
}

/// A property of an object; `None` if it has none of this name.
pub fn get(object: &JsValue, name: &str) -> Option<JsValue> {
    let value = Reflect::get(object, &JsValue::from_str(name)).ok()?;
    (!value.is_undefined()).then_some(value)
}

/// The result of a method without arguments; `None` if there is none of this name, or if it throws.
pub fn call(object: &JsValue, method: &str) -> Option<JsValue> {
    let method: Function = get(object, method)?.dyn_into().ok()?;
    method.call0(object).ok()
}

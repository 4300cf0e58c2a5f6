//! Scrolling the page itself.

/// Brings the element of this id into view.
pub fn into_view(id: &str) {
    let document = web_sys::window().and_then(|window| window.document());
    if let Some(element) = document.and_then(|document| document.get_element_by_id(id)) {
        element.scroll_into_view();
    }
}

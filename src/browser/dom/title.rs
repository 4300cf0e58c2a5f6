//! The title of the tab: the count of unread messages, and why this participant is not in the room.

/// Puts `unread` in front of the title; 0 removes the count.
pub fn set_unread(unread: usize) {
    let Some(document) = web_sys::window().and_then(|window| window.document()) else {
        return;
    };
    let title = document.title();
    let plain = without_count(&title);
    match unread {
        0 if plain.len() == title.len() => {}
        0 => document.set_title(plain),
        unread => document.set_title(&format!("({unread}) {plain}")),
    }
}

/// Sets the title, with the state of the page in front if there is one.
pub fn set(state: Option<&str>, title: &str) {
    if let Some(document) = web_sys::window().and_then(|window| window.document()) {
        match state {
            Some(state) => document.set_title(&format!("{state} · {title}")),
            None => document.set_title(title),
        }
    }
}

/// A title without a count in front.
fn without_count(title: &str) -> &str {
    let rest = title
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(") "));
    match rest {
        Some((count, plain)) if count.bytes().all(|b| b.is_ascii_digit()) => plain,
        _ => title,
    }
}

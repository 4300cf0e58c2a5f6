//! The rules of the house, held against the source: where what may be named.

use std::path::{Path, PathBuf};

/// Every source file under a folder of `src/`, with its text.
fn sources(under: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src")
        .join(under);
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of src") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                found.push((path, text));
            }
        }
    }
    found
}

/// The lines of code under a folder that name one of these.
fn naming(under: &str, names: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources(under) {
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code.filter(|line| names.iter().any(|name| line.contains(name))) {
            found.push(format!("{}: {}", path.display(), line.trim()));
        }
    }
    found
}

#[test]
fn the_wire_knows_nobody() {
    let named = naming("protocol", &["crate::", "web_sys", "tokio", "axum"]);
    let outside: Vec<_> = named
        .iter()
        .filter(|line| !line.contains("crate::protocol"))
        .collect();
    assert!(outside.is_empty(), "{outside:#?}");
}

#[test]
fn what_a_person_sees_knows_the_wire_only() {
    let others = [
        "crate::browser",
        "crate::server",
        "crate::components",
        "crate::pages",
        "web_sys",
    ];
    assert_eq!(naming("state", &others), [""; 0]);
}

#[test]
fn browser_and_server_do_not_know_each_other() {
    assert_eq!(
        naming("browser", &["crate::server", "tokio", "axum", "rusqlite"]),
        [""; 0]
    );
    assert_eq!(naming("server", &["crate::browser", "web_sys"]), [""; 0]);
}

#[test]
fn components_and_pages_touch_neither_socket_nor_store() {
    let shells = [
        "web_sys",
        "wasm_bindgen",
        "tokio",
        "rusqlite",
        "browser::RoomController",
    ];
    assert_eq!(naming("components", &shells), [""; 0]);
    assert_eq!(naming("pages", &shells), [""; 0]);
}

#[test]
fn the_rules_look_at_real_code() {
    assert!(naming("browser", &["web_sys"]).len() > 10);
    assert!(naming("server", &["tokio"]).len() > 5);
}

//! Architecture tests: which folders may name which modules and crates.

use std::collections::{BTreeMap, BTreeSet};
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

/// The lines of code under a folder that contain one of these names.
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
fn the_protocol_imports_no_other_module() {
    let named = naming("protocol", &["crate::", "web_sys", "tokio", "axum"]);
    let outside: Vec<_> = named
        .iter()
        .filter(|line| !line.contains("crate::protocol"))
        .collect();
    assert!(outside.is_empty(), "{outside:#?}");
}

#[test]
fn state_imports_only_the_protocol() {
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
fn the_rules_apply_to_existing_files() {
    assert!(naming("browser", &["web_sys"]).len() > 10);
    assert!(naming("server", &["tokio"]).len() > 5);
}

#[test]
fn components_import_neither_pages_nor_the_shell() {
    assert_eq!(
        naming("components", &["crate::pages", "crate::app"]),
        [""; 0]
    );
}

/// The imports between the modules of a folder. Each file and each subfolder is one module;
/// `mod.rs` and tests do not count.
fn imports(under: &str, files: &[(PathBuf, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src")
        .join(under);
    let folder = root.file_name().and_then(|name| name.to_str());
    let prefix = format!("{}::", folder.expect("UTF-8"));
    let mut imports = BTreeMap::<String, BTreeSet<String>>::new();
    for (path, text) in files {
        let inside = path.strip_prefix(&root).expect("under the folder");
        let names: Vec<&str> = inside.iter().filter_map(|name| name.to_str()).collect();
        let module = names[0].trim_end_matches(".rs");
        let is_test =
            |name: &&str| name.ends_with("_tests.rs") || matches!(*name, "tests" | "tests.rs");
        if matches!(module, "mod" | "testing") || names.iter().any(is_test) {
            continue;
        }
        let mut named = imported(text, &prefix);
        if names.len() == 1 || names[1..] == ["mod.rs"] {
            named.extend(imported(text, "super::"));
        }
        let others = imports.entry(module.to_owned()).or_default();
        others.extend(named.into_iter().filter(|other| other != module));
    }
    imports
}

/// The modules of an import cycle, and those that import them; empty if there is no cycle.
fn circle(mut imports: BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    loop {
        let before = imports.len();
        let modules: BTreeSet<_> = imports.keys().cloned().collect();
        imports.retain(|_, imported| !imported.is_disjoint(&modules));
        if imports.len() == before {
            return imports.into_keys().collect();
        }
    }
}

#[test]
fn modules_of_the_browser_have_no_import_cycle() {
    for folder in ["browser", "browser/call"] {
        let imports = imports(folder, &sources(folder));
        assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 4);
        assert_eq!(circle(imports), [""; 0], "{folder}");
    }
}

#[test]
fn only_the_state_and_the_handlers_of_the_server_form_an_import_cycle() {
    let mut imports = imports("server", &sources("server"));
    assert!(imports["config"].contains("addresses"), "{imports:?}");
    // Each handler takes the state, and the state holds parts of the handlers.
    for module in ["context", "http"] {
        assert!(imports.remove(module).is_some(), "{module}");
    }
    assert_eq!(circle(imports), [""; 0]);
}

#[test]
fn an_import_cycle_is_found() {
    let file = |name: &str, text: &str| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/browser/call");
        (root.join(name), text.to_owned())
    };
    let files = [
        file(
            "controller.rs",
            "use crate::browser::call::migration::MediaMigration;",
        ),
        file(
            "migration.rs",
            "use crate::browser::call::{\n    context::Context,\n    rtc::{stats::field, Peer},\n};",
        ),
        file(
            "rtc/stats.rs",
            "    crate::browser::call::migration::stop();",
        ),
        file("viewport.rs", "use super::rtc::Peer;"),
        file(
            "media/mod.rs",
            "// use crate::browser::call::controller::CallController;",
        ),
    ];
    let found = circle(imports("browser/call", &files));
    assert_eq!(found, ["controller", "migration", "rtc", "viewport"]);
}

/// The imports between the folders and files right below the SFU.
fn sfu_imports() -> BTreeMap<String, BTreeSet<String>> {
    imports("server/sfu", &sources("server/sfu"))
}

/// The modules that a source file names as `prefix::module` or `prefix::{module, ...}`, before
/// its tests.
fn imported(text: &str, prefix: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
    let lines = code.lines().map(str::trim);
    let code: String = lines.filter(|line| !line.starts_with("//")).collect();
    let named = code.split(prefix).skip(1).flat_map(|rest| {
        let Some(braces) = rest.strip_prefix('{') else {
            return vec![rest];
        };
        let (mut depth, mut starts) = (0, vec![braces]);
        for (at, letter) in braces.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => starts.push(&braces[at + 1..]),
                _ => {}
            }
        }
        starts
    });
    let module = |start: &str| -> String {
        let letters = start.trim_start().chars();
        letters
            .take_while(|c| c.is_ascii_lowercase() || *c == '_')
            .collect()
    };
    named.map(module).filter(|name| !name.is_empty()).collect()
}

#[test]
fn only_the_shard_implements_the_core_of_the_sfu() {
    let elsewhere = naming("server/sfu", &["impl Core", "impl super::core::Core"])
        .into_iter()
        .filter(|line| !line.contains("/sfu/shard/"));
    assert_eq!(elsewhere.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn only_the_handle_of_the_sfu_imports_its_shard() {
    let imports = sfu_imports();
    let importing = imports.iter().filter(|(_, other)| other.contains("shard"));
    let importing: Vec<_> = importing.map(|(part, _)| part.as_str()).collect();
    assert_eq!(importing, ["handle"]);
}

#[test]
fn the_folders_of_the_sfu_import_each_other_without_circles() {
    let imports = sfu_imports();
    assert!(imports["shard"].len() > 8, "{imports:?}");
    assert_eq!(circle(imports), [""; 0]);
    let up = naming("server/sfu", &["super::super::super"]);
    assert_eq!(up, [""; 0], "imports across folders begin with `crate`");
}

#[test]
fn only_the_module_of_paths_makes_addresses_of_the_site() {
    // What a view, a navigation or a socket would hold without `paths.rs` or `BasePath`.
    let literal = [
        "=\"/",
        "=format!(\"/",
        "=name.path()",
        "navigate(\"/",
        "navigate(&name",
        "{host}/ws",
        "format!(\"/pkg/",
    ];
    let found = naming("", &literal);
    let is_made = |line: &str| {
        let makers = ["address(&format!(\"/pkg/", "visit.to(&format!(\"/pkg/"];
        let file = line.split(": ").next().unwrap_or_default();
        let is_test = file.contains("/tests") || file.ends_with("_tests.rs");
        is_test || makers.iter().any(|maker| line.contains(maker))
    };
    assert!(found.iter().any(|line| is_made(line)), "the rule applies");
    let found: Vec<_> = found.iter().filter(|line| !is_made(line)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// The comments of a file, each joined from its lines: `//`, `///` and `//!` alike.
fn comments(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = None::<String>;
    for line in text.lines() {
        match line.trim_start().strip_prefix("//") {
            Some(comment) => {
                let comment = comment.trim_start_matches(['/', '!']);
                let open = open.get_or_insert_default();
                open.push(' ');
                open.push_str(comment);
            }
            None => found.extend(open.take()),
        }
    }
    found.extend(open);
    found
}

#[test]
fn no_comment_has_one_or_two_words() {
    let files = ["", "../bench/src", "../tests"].map(sources).concat();
    assert!(files.len() > 400, "the sources are read");
    let mut short = Vec::new();
    for (path, text) in files {
        for comment in comments(&text) {
            if comment.split_whitespace().count() < 3 {
                short.push(format!("{}: {}", path.display(), comment.trim()));
            }
        }
    }
    assert_eq!(short, [""; 0]);
}

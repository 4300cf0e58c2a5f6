//! What the documents say of the tests is held against the tests.

use std::{fs, path::Path};

/// The text of every file with this ending under a folder of the checkout.
fn texts(under: &str, ending: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut text) = (vec![root.join(under)], String::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the checkout") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                text.push_str(&fs::read_to_string(&path).expect("UTF-8"));
            }
        }
    }
    text
}

/// What the last column of the tables in a page names, between backticks.
fn named_in_tables(page: &str) -> Vec<String> {
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let tests = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    let names = tests.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

#[test]
fn every_test_that_the_page_on_security_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/security.md")).expect("a page");
    let (rust, journeys) = (texts("src", "rs"), texts("end2end/tests", "ts"));
    let exists = |name: &String| match name {
        path if path.contains('/') => root.join(path).exists(),
        title if title.contains(' ') => journeys.contains(title.as_str()),
        function => rust.contains(&format!("fn {function}(")),
    };
    let named = named_in_tables(&page);
    assert!(named.len() > 40, "the tables are read");
    let missing: Vec<_> = named.iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

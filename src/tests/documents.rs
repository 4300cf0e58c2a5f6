//! Compares the documents with the source: the tests, paths and folders that they name exist.

use std::{collections::BTreeSet, fs, path::Path};

/// The root of the checkout.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The code blocks of all sections of a page whose heading starts with `heading`, joined.
fn blocks(page: &str, heading: &str) -> Vec<String> {
    let sections = page
        .split("\n## ")
        .filter(|section| section.starts_with(heading));
    let blocks = sections.map(|section| section.split("```\n").skip(1).step_by(2).collect());
    blocks.collect()
}

/// Every folder below a folder of the checkout, relative to that folder.
fn folders(under: &Path) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![under.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the checkout") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                let relative = path.strip_prefix(under).expect("below it");
                found.insert(relative.display().to_string());
                open.push(path);
            }
        }
    }
    found
}

/// The text of every file with this ending under a folder of the checkout.
fn texts(under: &str, ending: &str) -> String {
    let (mut folders, mut text) = (vec![root().join(under)], String::new());
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

/// The names between backticks in the last column of the tables of a page.
fn named_in_tables(page: &str) -> Vec<String> {
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let tests = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    let names = tests.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

#[test]
fn every_test_that_the_page_on_security_names_exists() {
    let page = fs::read_to_string(root().join("docs/security.md")).expect("a page");
    let (rust, journeys) = (texts("src", "rs"), texts("end2end/tests", "ts"));
    let exists = |name: &String| match name {
        path if path.contains('/') => root().join(path).exists(),
        title if title.contains(' ') => journeys.contains(title.as_str()),
        function => rust.contains(&format!("fn {function}(")),
    };
    let named = named_in_tables(&page);
    assert!(named.len() > 40, "the tables are read");
    let missing: Vec<_> = named.iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_step_of_a_walkthrough_names_a_file_and_functions_that_exist() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("a page");
    let walkthroughs = blocks(&page, "Walkthrough: ");
    assert_eq!(walkthroughs.len(), 3, "a message, a call, a restart");
    for walkthrough in walkthroughs {
        // A step is a path below src/ and what happens there; further lines are indented.
        let mut text = String::new();
        let (mut steps, mut functions) = (0, 0);
        for line in walkthrough.lines() {
            let path = line.split_whitespace().next().unwrap_or_default();
            if path.ends_with(".rs") || path.ends_with(".js") {
                let file = root().join("src").join(path);
                text = fs::read_to_string(file).unwrap_or_else(|_| panic!("{path} exists"));
                steps += 1;
            }
            for word in line.split(|part: char| !part.is_alphanumeric() && !"_:".contains(part)) {
                let Some((_, name)) = word.trim_matches(':').rsplit_once("::") else {
                    continue;
                };
                assert!(text.contains(name), "{word} in {line}");
                functions += 1;
            }
        }
        assert!(
            steps > 5 && functions > 0,
            "the steps are read: {walkthrough}"
        );
    }
}

#[test]
fn the_tree_in_the_page_on_architecture_names_every_folder_of_the_source() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("a page");
    let tree = blocks(&page, "The source tree").concat();
    let (mut named, mut parents) = (BTreeSet::new(), Vec::<String>::new());
    for line in tree.lines() {
        let depth = (line.len() - line.trim_start().len()) / 2;
        let (name, description) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let folder = name.strip_suffix('/').expect("a folder ends with /");
        assert!(!description.trim().is_empty(), "{name} is described");
        parents.truncate(depth);
        parents.push(folder.to_owned());
        assert!(named.insert(parents.join("/")), "{line} is named once");
    }
    assert_eq!(named, folders(&root().join("src")));
}

#[test]
fn every_path_in_the_pages_for_readers_of_the_source_exists() {
    for (name, least) in [("architecture.md", 40), ("glossary.md", 60)] {
        let page = fs::read_to_string(root().join("docs").join(name)).expect("a page");
        let prose = page.split("```\n").step_by(2).collect::<String>();
        let spans = prose.split('`').skip(1).step_by(2);
        let is_path = |span: &&str| {
            let file = [".rs", ".js", ".md", "/"]
                .iter()
                .any(|end| span.ends_with(end));
            file && span.contains('/') && !span.starts_with('/')
        };
        let paths: Vec<_> = spans.filter(is_path).collect();
        assert!(paths.len() >= least, "the paths of {name} are read");
        let exists =
            |path: &str| root().join(path).exists() || root().join("src").join(path).exists();
        let missing: Vec<_> = paths.iter().filter(|path| !exists(path)).collect();
        assert!(missing.is_empty(), "{missing:#?}");
    }
}

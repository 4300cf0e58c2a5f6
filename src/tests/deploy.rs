//! Compares `deploy/` with the source: its files name only metrics, settings and commands that
//! exist.

use super::harness::{TestApp, new_id};
use crate::{
    protocol::{ChatDraft, ClientMessage},
    server::{
        commands::Cli,
        config::{Config, FileLayer, Flags, unknown_variables},
        limits::Timing,
    },
};
use clap::Parser;
use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The text of a file below `deploy/`.
fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below `deploy/`, with its text.
fn files() -> Vec<(PathBuf, String)> {
    let (mut found, mut folders) = (
        Vec::new(),
        vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")],
    );
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of deploy") {
            let path = entry.expect("readable").path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let text = fs::read_to_string(&path).expect("UTF-8");
                    found.push((path, text));
                }
            }
        }
    }
    found
}

/// The words of a text that begin like this: letters, digits and underscores.
fn words<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with(prefix)).collect()
}

#[tokio::test]
async fn dashboard_and_alerts_name_only_metrics_that_a_server_exposes() {
    let app = TestApp::start_with(Timing::default(), &["--turn-listen", "127.0.0.1:0"]).await;
    // A code has no series before its first refusal.
    let mut ann = app.join("team", "Ann").await;
    let (id, text, reply_to) = (new_id(), " ".to_owned(), None);
    ann.send(&ClientMessage::Chat(ChatDraft {
        id,
        text,
        reply_to,
        files: Vec::new(),
        mentions: Vec::new(),
    }))
    .await;
    ann.wait_for_refusal().await;
    let exposed = app.metrics().await.names;
    let is_exposed = |name: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        let histogram = parts.iter().find_map(|part| name.strip_suffix(part));
        let names = std::iter::once(name).chain(histogram);
        names
            .into_iter()
            .any(|name| exposed.iter().any(|other| other == name))
    };
    for (file, least) in [
        ("grafana/dashboard.json", 40),
        ("prometheus/alerts.yaml", 9),
    ] {
        let text = read(file);
        let named = words(&text, "noom_");
        assert!(named.len() >= least, "{file} is read: {named:?}");
        let unknown: Vec<_> = named.iter().filter(|name| !is_exposed(name)).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
    let dashboard = read("grafana/dashboard.json");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    assert!(
        dashboard["panels"]
            .as_array()
            .is_some_and(|panels| panels.len() > 20)
    );
}

#[test]
fn every_variable_in_deploy_is_a_setting() {
    let mut read = 0;
    for (path, text) in files() {
        let names = words(&text, "NOOM_");
        read += names.len();
        let unknown = unknown_variables(names.into_iter().map(OsString::from));
        assert_eq!(unknown, [], "{}", path.display());
    }
    assert!(read > 15, "the files are read");
}

#[test]
fn the_commands_of_unit_image_and_compose_file_are_accepted() {
    let unit = read("systemd/noom.service");
    let command = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/bin/"));
    let command = command.expect("a command").split(' ').map(str::to_owned);
    let json = |text: &str| -> Vec<String> {
        let (_, list) = text
            .split_once("\"CMD\", ")
            .or_else(|| text.split_once("CMD ["))
            .expect("a check");
        let (list, _) = list.split_once(']').expect("it ends");
        let words: Vec<String> = serde_json::from_str(&format!("[{list}]")).expect("a list");
        words
            .into_iter()
            .map(|word| word.trim_start_matches("/usr/bin/").to_owned())
            .collect()
    };
    let image = read("Containerfile");
    let check = image.lines().find(|line| line.starts_with("HEALTHCHECK"));
    let compose = read("compose.yaml");
    for words in [
        command.collect(),
        json(check.expect("a check")),
        json(&compose),
    ] {
        assert_eq!(words[0], "noom");
        Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }
}

#[test]
fn the_file_of_settings_is_accepted_as_it_is_and_with_every_line_in_effect() {
    let resolve = |text: &str| {
        let file = FileLayer::parse(text).unwrap_or_else(|error| panic!("{error}"));
        let config = Config::resolve(&Flags::default(), &|_| None, &file);
        config.unwrap_or_else(|error| panic!("{error}"))
    };
    let file = read("noom.toml");
    let defaults = resolve("");
    assert_eq!(format!("{:?}", resolve(&file)), format!("{defaults:?}"));
    let in_effect: Vec<_> = file
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting,
            _ => line,
        })
        .collect();
    let settings = resolve(&in_effect.join("\n"));
    assert_eq!(settings.ice_servers.len(), 1);
    assert_eq!(settings.retention.rooms.len(), 1);
    assert!(settings.turn_tls.is_some() && settings.public_url.is_some());
    assert!(settings.tls.is_some(), "a domain is served by https");
    // What is not an example is the default.
    assert_eq!(settings.listen, defaults.listen);
    assert_eq!(settings.store.quota, defaults.store.quota);
    assert_eq!(settings.retention.defaults, defaults.retention.defaults);
    let capacities = |config: &Config| (config.room_capacity, config.call_capacity);
    assert_eq!(capacities(&settings), capacities(&defaults));
}

/// The commands of `noom` in the blocks of a page, as words.
fn commands(page: &str) -> Vec<Vec<String>> {
    let page = page.replace("\\\n", " ").replace(r"$(date +\%a)", "Mon");
    let blocks = page.split("```").skip(1).step_by(2);
    let mut found = Vec::new();
    for text in blocks.flat_map(str::lines) {
        let text = text.trim();
        let call = ["", "./", "0 3 * * * root "]
            .iter()
            .find_map(|start| text.strip_prefix(start)?.strip_prefix("noom "))
            .or_else(|| text.split_once(" /usr/bin/noom ").map(|(_, rest)| rest))
            .or_else(|| text.split_once(" run --rm noom ").map(|(_, rest)| rest));
        let Some(call) = call else { continue };
        let ends = [" #", " | "];
        let call = ends
            .iter()
            .fold(call, |call, end| call.split(end).next().unwrap_or(call));
        let mut words = vec!["noom".to_owned()];
        for (number, part) in call.split('"').enumerate() {
            match number % 2 {
                0 => words.extend(part.split_whitespace().map(str::to_owned)),
                _ => words.push(part.to_owned()),
            }
        }
        found.push(words);
    }
    found
}

#[test]
fn every_command_and_file_of_settings_in_the_documentation_is_accepted() {
    let page = include_str!("../../docs/operating.md");
    let pages = [page, include_str!("../../README.md")];
    let all: Vec<_> = pages.into_iter().flat_map(commands).collect();
    assert!(all.len() > 20, "the pages are read: {all:?}");
    for words in all {
        let parsed = Cli::try_parse_from(&words);
        // A page of help is an error to clap, with status 0.
        let refused = parsed.err().filter(|error| error.exit_code() != 0);
        assert!(refused.is_none(), "{words:?}: {refused:?}");
    }
    let blocks = page.split("```toml\n").skip(1);
    let blocks: Vec<_> = blocks.filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() > 5, "the page is read: {blocks:?}");
    for block in blocks {
        let file = FileLayer::parse(block).unwrap_or_else(|error| panic!("{block}{error}"));
        let config = Config::resolve(&Flags::default(), &|_| None, &file);
        config.unwrap_or_else(|error| panic!("{block}{error}"));
    }
}

/// Whether a text of settings names this value: its keys on lines of increasing depth.
fn has_value(values: &str, name: &str) -> bool {
    let mut lines = values.lines();
    name.split('.').enumerate().all(|(depth, key)| {
        let start = format!("{}{key}:", "  ".repeat(depth));
        lines.any(|line| line.starts_with(&start))
    })
}

#[test]
fn every_value_that_the_chart_uses_has_a_default() {
    let values = read("helm/noom/values.yaml");
    let mut used = BTreeSet::new();
    for (path, text) in files() {
        if !path.parent().is_some_and(|p| p.ends_with("templates")) {
            continue;
        }
        let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '.');
        let names = text.split(".Values.").skip(1);
        used.extend(names.filter_map(|rest| rest.split(ends).next().map(str::to_owned)));
    }
    assert!(used.len() > 15, "the templates are read: {used:?}");
    for name in used {
        assert!(has_value(&values, &name), "{name}");
    }
    assert!(!has_value(&values, "metricsToken.unknown"));
}

#[test]
fn the_chart_mounts_the_secret_at_the_path_of_the_metrics_token() {
    let template = read("helm/noom/templates/statefulset.yaml");
    let lines: Vec<_> = template.lines().map(str::trim).collect();
    let after = |line: &str| {
        let place = lines.iter().position(|other| *other == line);
        lines[place.unwrap_or_else(|| panic!("{line}")) + 1]
    };
    let file = after("- name: NOOM_METRICS_TOKEN_FILE");
    let file = Path::new(file.strip_prefix("value: ").expect("a path"));
    let folder = file.parent().expect("a folder").display();
    assert_eq!(after("- name: secrets"), format!("mountPath: {folder}"));
    let name = file.file_name().expect("a name").display();
    assert_eq!(
        after("- key: {{ .key }}"),
        format!("path: {name}"),
        "the file that the server reads"
    );
    let conditions = lines
        .iter()
        .filter(|line| **line == "{{- if .Values.metricsToken.secret }}");
    assert_eq!(conditions.count(), 2, "variable and mount");
}

/// The settings of `systemctl edit noom` in docs/operating.md: blocks that begin with this section.
fn documented_overrides() -> Vec<String> {
    let page = include_str!("../../docs/operating.md");
    let mut found = Vec::new();
    for block in page.split("```").skip(1).step_by(2) {
        let lines = block.lines().skip(1).map(str::trim);
        let text: Vec<_> = lines.filter(|line| !line.starts_with('#')).collect();
        if text.first() == Some(&"[Service]") {
            found.push(text.join("\n"));
        }
    }
    found
}

/// Runs `systemd-analyze`. Returns whether it succeeded, and its output.
fn analyze(words: &[&str]) -> (bool, String) {
    let output = Command::new("systemd-analyze").args(words).output();
    let output = output.expect("it is installed");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn systemd_accepts_the_units_with_every_documented_override_and_finds_them_confined() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        return;
    }
    // It insists on the binary, so the unit names one that exists.
    let folder = tempfile::tempdir().expect("a directory");
    let binary = std::env::current_exe().expect("a path");
    let unit = read("systemd/noom.service");
    let unit = unit.replace("/usr/bin/noom", &binary.display().to_string());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (service, socket) = (path("noom.service"), path("noom-http.socket"));
    fs::write(&service, &unit).expect("written");
    fs::write(&socket, read("systemd/noom-http.socket")).expect("written");
    let verify = || analyze(&["verify", "--man=no", &service, &socket]);
    assert_eq!(verify(), (true, String::new()));
    let overrides = documented_overrides();
    assert!(overrides.len() >= 2, "the page is read: {overrides:?}");
    fs::create_dir(path("noom.service.d")).expect("made");
    let dropped = path("noom.service.d/override.conf");
    for text in &overrides {
        fs::write(&dropped, text).expect("written");
        assert_eq!(verify(), (true, String::new()), "{text}");
        let names = words(text, "NOOM_").into_iter().map(OsString::from);
        assert_eq!(unknown_variables(names), [], "{text}");
    }
    fs::write(&dropped, "[Service]\nLoadCredentials=a:b\n").expect("written");
    assert!(
        verify().1.contains("LoadCredentials"),
        "a wrong key is found"
    );
    fs::remove_file(&dropped).expect("removed");
    // The threshold is in tenths: less than 3 of 10.
    let confined =
        |service: &str| analyze(&["security", "--offline=true", "--threshold=29", service]);
    let (is_confined, report) = confined(&service);
    assert!(is_confined, "{report}");
    let open = path("open.service");
    fs::write(&open, "[Service]\nExecStart=/bin/true\n").expect("written");
    assert!(!confined(&open).0, "a service without rules is above it");
}

#[test]
fn chart_and_package_have_the_version_of_the_crate() {
    let chart = read("helm/noom/Chart.yaml");
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        chart.contains(&format!("\nversion: {version}\n")),
        "{chart}"
    );
    assert!(
        chart.contains(&format!("\nappVersion: \"{version}\"\n")),
        "{chart}"
    );
    let manifest = include_str!("../../Cargo.toml");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let assets = &manifest["package"]["metadata"]["deb"]["assets"];
    let assets = assets.as_array().expect("a list");
    assert!(assets.len() > 4, "the list is read");
    for asset in assets {
        let source = asset[0].as_str().expect("a path");
        let built = source.starts_with("target/");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        assert!(built || path.exists(), "{source}");
    }
}

//! Detects unknown names of settings, and suggests the nearest known name.

use super::{
    flags::CONFIG_VARIABLE,
    settings::{PREFIX, SETTINGS, Setting},
};
use std::ffi::OsString;

/// Variables with the prefix that are no settings: the path of the TOML file, and the variables of
/// `make`, `scripts/` and the browser tests.
const NON_SETTINGS: [&str; 7] = [
    CONFIG_VARIABLE,
    "NOOM_AIORTC",
    "NOOM_BIN",
    "NOOM_BIN_BEFORE",
    "NOOM_DEB",
    "NOOM_TEST_LOG",
    "NOOM_TOOLS",
];
/// Most unknown variables that are reported. 16: one log line each.
const MAX_REPORTED: usize = 16;
/// Most characters of a name that a log line shows.
const MAX_NAME_CHARS: usize = 64;

/// An environment variable with the prefix of the settings that is no setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownVariable {
    /// The name, truncated to [`MAX_NAME_CHARS`] and with unprintable characters replaced.
    pub name: String,
    /// The variable of the setting with the nearest name.
    pub nearest: Option<String>,
}

/// Returns the variables that have the prefix of the settings and are no setting, at most
/// [`MAX_REPORTED`].
pub fn unknown_variables(present: impl Iterator<Item = OsString>) -> Vec<UnknownVariable> {
    let settings: Vec<_> = SETTINGS.iter().map(Setting::variable).collect();
    let is_known =
        |name: &str| NON_SETTINGS.contains(&name) || settings.iter().any(|known| known == name);
    let names = present.map(|name| name.to_string_lossy().into_owned());
    let unknown = names.filter(|name| name.to_uppercase().starts_with(PREFIX) && !is_known(name));
    let unknown = unknown.map(|name| UnknownVariable {
        nearest: nearest(&name.to_uppercase(), settings.iter().map(String::as_str))
            .map(str::to_owned),
        name: name
            .chars()
            .take(MAX_NAME_CHARS)
            .map(|letter| {
                if letter.is_ascii_graphic() {
                    letter
                } else {
                    '?'
                }
            })
            .collect(),
    });
    unknown.take(MAX_REPORTED).collect()
}

/// The known name with the least edit distance to a wrong name. `None` if the distance exceeds a
/// third of the length of the known name.
pub(super) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.len() > MAX_NAME_CHARS {
        return None;
    }
    let without_prefix = |name: &str| name.trim_start_matches(PREFIX).to_owned();
    let wrong = without_prefix(wrong);
    let distance = |name: &str| strsim::damerau_levenshtein(&wrong, &without_prefix(name));
    let (best, edits) = known
        .map(|name| (name, distance(name)))
        .min_by_key(|(_, edits)| *edits)?;
    (edits * 3 <= without_prefix(best).len()).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn unknown(names: &[&str]) -> Vec<(String, Option<String>)> {
        let found = unknown_variables(names.iter().map(OsString::from));
        found.into_iter().map(|v| (v.name, v.nearest)).collect()
    }

    #[test]
    fn a_misspelt_variable_is_named_with_the_nearest_setting() {
        for (wrong, meant) in [
            ("NOOM_LISTN", "NOOM_LISTEN"),
            ("NOOM_LISTEN_", "NOOM_LISTEN"),
            ("NOOM_DATADIR", "NOOM_DATA_DIR"),
            ("NOOM_P2PMAX", "NOOM_P2P_MAX"),
            ("NOOM_TRUSTED_PROXY", "NOOM_TRUSTED_PROXIES"),
            ("NOOM_PUBLIC_URI", "NOOM_PUBLIC_URL"),
            ("noom_listen", "NOOM_LISTEN"),
        ] {
            let expected = (wrong.to_owned(), Some(meant.to_owned()));
            assert_eq!(unknown(&[wrong]), [expected]);
        }
        assert_eq!(unknown(&["NOOM_TEA"]), [("NOOM_TEA".to_owned(), None)]);
    }

    #[test]
    fn known_and_foreign_variables_are_not_reported() {
        let settings: Vec<_> = SETTINGS.iter().map(Setting::variable).collect();
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        assert_eq!(unknown(&settings), []);
        assert_eq!(unknown(&["NOOM_CONFIG", "PATH", "NOOMX", "MY_NOOM_X"]), []);
    }

    #[test]
    fn any_environment_reports_few_variables_in_one_line_each() {
        let long = format!("NOOM_{}", "X\n".repeat(5000));
        let many = vec![long.as_str(); 1000];
        let found = unknown(&many);
        assert_eq!(found.len(), MAX_REPORTED);
        assert_eq!(found[0].0.len(), MAX_NAME_CHARS);
        assert!(!found[0].0.contains('\n'));
    }

    #[test]
    fn no_variable_that_our_own_scripts_and_tests_read_is_unknown() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = vec![root.join("Makefile")];
        for folder in [
            "scripts",
            "end2end/tests",
            "end2end/support",
            "end2end/measure",
        ] {
            let entries = std::fs::read_dir(root.join(folder)).expect("a folder");
            files.extend(entries.map(|entry| entry.expect("readable").path()));
        }
        let mut read = 0;
        for file in files.iter().filter(|file| file.is_file()) {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            for word in words.filter(|word| word.starts_with(PREFIX) && *word != PREFIX) {
                read += 1;
                assert_eq!(unknown(&[word]), [], "{}", file.display());
            }
        }
        assert!(read > 5, "the files are read");
    }
}

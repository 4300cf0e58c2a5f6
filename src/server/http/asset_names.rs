//! File names of a build, which change with the content of the files.

use super::assets::{HASH_LETTERS, PKG};

/// Names of the files that pages of this build load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetNames {
    /// The script, `noom.js` or `noom.<hash>.js`.
    pub js: String,
    /// The WebAssembly module that the script loads.
    pub wasm: String,
    /// The style sheet of all pages.
    pub css: String,
    /// The lazily loaded WebAssembly module of room and call, and the script that loads it; `None`
    /// if the build was not split.
    pub room: Option<[String; 2]>,
}

/// Finds the names among the paths of a build. Defaults are the names without hash.
pub(super) fn names_in(paths: &[String]) -> AssetNames {
    let find = |ending: &str| {
        let mut found = paths
            .iter()
            .filter_map(|path| path.strip_prefix(PKG))
            .filter(|name| {
                let middle = name
                    .strip_prefix("noom")
                    .and_then(|name| name.strip_suffix(ending));
                let middle = middle.map(|middle| middle.strip_prefix("_bg").unwrap_or(middle));
                middle.is_some_and(|middle| middle.is_empty() || is_middle(middle))
            });
        let name = found
            .next()
            .map_or_else(|| format!("noom{ending}"), str::to_owned);
        found.fold(name, |name, other| {
            if other.len() > name.len() {
                other.to_owned()
            } else {
                name
            }
        })
    };
    // There is one lazy route, so the build has one lazy module.
    let part = |start: &str, ending: &str| {
        let mut names = paths.iter().filter_map(|path| path.strip_prefix(PKG));
        let part = names.find(|name| name.starts_with(start) && name.ends_with(ending));
        part.map(str::to_owned)
    };
    AssetNames {
        js: find(".js"),
        wasm: find(".wasm"),
        css: find(".css"),
        room: part("split_", ".wasm")
            .zip(part("__wasm_split.", ".js"))
            .map(Into::into),
    }
}

/// Whether the text between name and suffix is `.<hash>`.
fn is_middle(middle: &str) -> bool {
    middle
        .strip_prefix('.')
        .is_some_and(|hash| hash.len() == HASH_LETTERS && !hash.contains('.'))
}

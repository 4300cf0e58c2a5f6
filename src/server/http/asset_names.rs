//! File names of a build, which change with the content of the files.

use super::assets::{HASH_LETTERS, PKG};
use std::collections::BTreeMap;

/// Names of the files that pages of this build load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetNames {
    /// The script, `noom.js` or `noom.<hash>.js`.
    pub js: String,
    /// The WebAssembly module that the script loads.
    pub wasm: String,
    /// The style sheet of all pages.
    pub css: String,
    /// The script that loads parts of a split build, and the WebAssembly modules that a room's page loads
    /// with it at its start: of those that load later, such as the dialogs', none. `None` if the build was
    /// not split.
    pub room: Option<Vec<String>>,
}

/// Start of the name that the route of a room has in the manifest of a split build.
const ROOM_ROUTE: &str = "__room_route_view";

/// Finds the names among the paths of a build; `read` reads a file of it. Defaults are the names without
/// hash.
pub(super) fn names_in(paths: &[String], read: impl Fn(&str) -> Option<Vec<u8>>) -> AssetNames {
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
    let part = |start: &str, ending: &str| {
        let mut names = paths.iter().filter_map(|path| path.strip_prefix(PKG));
        names.find(|name| name.starts_with(start) && name.ends_with(ending))
    };
    let room = || {
        let manifest = read(&format!(
            "{PKG}{}",
            part("__wasm_split_manifest.", ".json")?
        ))?;
        let script = part("__wasm_split.", ".js")?.to_owned();
        Some([vec![script], room_modules(&manifest)?].concat())
    };
    AssetNames {
        js: find(".js"),
        wasm: find(".wasm"),
        css: find(".css"),
        room: room(),
    }
}

/// The modules of the room's route in the manifest of a split build, which lists for each lazily loaded
/// function its module and those that share code with it, without `.wasm`.
fn room_modules(manifest: &[u8]) -> Option<Vec<String>> {
    let modules: BTreeMap<String, Vec<String>> = serde_json::from_slice(manifest).ok()?;
    let (_, names) = modules
        .into_iter()
        .find(|(function, _)| function.starts_with(ROOM_ROUTE))?;
    Some(names.into_iter().map(|name| name + ".wasm").collect())
}

/// Whether the text between name and suffix is `.<hash>`.
fn is_middle(middle: &str) -> bool {
    middle
        .strip_prefix('.')
        .is_some_and(|hash| hash.len() == HASH_LETTERS && !hash.contains('.'))
}

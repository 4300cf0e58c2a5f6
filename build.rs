//! Turns `locales/` into typed keys, so that a missing word fails the build, and
//! has the server rebuilt when the site it embeds has changed.

use leptos_i18n_build::{Config, ParseOptions, TranslationsInfos};
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.toml");
    if std::env::var_os("CARGO_FEATURE_SSR").is_some() {
        println!("cargo::rerun-if-changed=target/site");
    }
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?).join("i18n");
    let config = Config::new("en")?
        .add_locale("ko")?
        .add_namespaces([
            "common",
            "welcome",
            "room",
            "chat",
            "entry",
            "hosts",
            "invites",
            "call",
            "slash",
            "files",
            "transfers",
            "lan",
            "admin",
            "doctor",
            "check",
        ])?
        .parse_options(ParseOptions::new().interpolate_display(true));
    let translations = TranslationsInfos::parse(config)?;
    translations.emit_diagnostics();
    translations.rerun_if_locales_changed();
    translations.generate_i18n_module(out_dir)?;
    Ok(())
}

//! Prints every setting with its origin, in the form of the file of settings.

use super::{
    Config, ConfigError, FileLayer, Flags,
    layers::Layers,
    settings::{SETTINGS, Setting},
};

/// The origin of a default.
const DEFAULT: &str = "default";
/// The variable by which cargo-leptos says where to listen.
const LEPTOS_ADDRESS: &str = "LEPTOS_SITE_ADDR";

/// The settings in the order of `--help`, each with its origin behind it, and the rules of single
/// rooms. The text is a file of settings with the effect of `config`, but for what is masked.
///
/// # Errors
/// The profile is none of those that exist.
pub(super) fn text(
    config: &Config,
    flags: &Flags,
    env: &dyn Fn(&str) -> Option<String>,
    file: &FileLayer,
) -> Result<String, ConfigError> {
    let layers = Layers::new(flags, env, file)?;
    let lines = SETTINGS
        .iter()
        .map(|setting| match layers.find(setting.name) {
            // Its default depends on other settings and on cargo-leptos.
            Some(value) if value.is_default && setting.name == "listen" => {
                let origin = match env(LEPTOS_ADDRESS).filter(|value| !value.trim().is_empty()) {
                    Some(_) => LEPTOS_ADDRESS,
                    None => DEFAULT,
                };
                line(setting, &config.listen.to_string(), origin)
            }
            Some(value) if value.is_default => line(setting, &value.value, DEFAULT),
            Some(value) => line(setting, &value.value, &value.origin),
            None => format!("# {} is not set: {}", setting.name, setting.default_text()),
        });
    let rooms = file.rooms.iter().map(|(name, rule)| {
        let name = toml::Value::from(name.as_str());
        format!("\n[rooms.{name}] # --config{}", rule.lines())
    });
    Ok(lines.chain(rooms).map(|line| line + "\n").collect())
}

/// The line of a setting with this value.
fn line(setting: &Setting, value: &str, origin: &str) -> String {
    let shown = setting.shown(value);
    let masked = if shown == value { "" } else { ", masked" };
    format!(
        "{} = {} # {origin}{masked}",
        setting.name,
        toml_value(&shown)
    )
}

/// A value as TOML: numbers and booleans bare, as people write them, everything else as a string.
fn toml_value(text: &str) -> String {
    let is_number = text
        .parse()
        .is_ok_and(|number: u64| number.to_string() == text);
    match is_number || matches!(text, "true" | "false") {
        true => text.to_owned(),
        false => toml::Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    /// The printed text and the settings of these layers.
    fn printed(flags: &[&str], env: &[(&str, &str)], file: &str) -> (String, Config) {
        let words = std::iter::once("noom").chain(flags.iter().copied());
        let flags = Flags::try_parse_from(words).expect("flags parse");
        let env = |name: &str| {
            let found = env.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let file = FileLayer::parse(file).expect("a file");
        let config = Config::resolve(&flags, &env, &file).expect("accepted");
        (text(&config, &flags, &env, &file).expect("printed"), config)
    }

    #[test]
    fn each_setting_is_printed_once_with_its_value_and_its_origin() {
        let env = [("NOOM_P2P_MAX", "4"), ("LEPTOS_SITE_ADDR", "[::1]:4000")];
        let file = "hide-addresses = true\nmedia-ip = [\"192.0.2.1\", \"192.0.2.2\"]";
        let (text, _) = printed(&["--data-dir", "a \"b\" \\ c"], &env, file);
        for line in [
            "listen = \"[::1]:4000\" # LEPTOS_SITE_ADDR",
            "p2p-max = 4 # NOOM_P2P_MAX",
            "hide-addresses = true # hide-addresses in --config",
            "media-ip = \"192.0.2.1,192.0.2.2\" # media-ip in --config",
            "room-capacity = 100 # default",
            "# public-url is not set: derived from each request",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{text} lacks {line}"
            );
        }
        assert!(text.contains(" # --data-dir\n"), "{text}");
        for setting in &SETTINGS {
            let starts = [
                format!("{} = ", setting.name),
                format!("# {} is", setting.name),
            ];
            let lines = text.lines();
            let count = lines.filter(|line| starts.iter().any(|start| line.starts_with(start)));
            assert_eq!(count.count(), 1, "{}", setting.name);
        }
    }

    #[test]
    fn the_printed_text_is_a_file_with_the_same_effect() {
        let defaults = printed(&[], &[], "");
        let by_acme = printed(&["--domain", "meet.example.org"], &[], "");
        assert!(
            by_acme.0.contains("listen = \"0.0.0.0:443\" # default\n"),
            "{}",
            by_acme.0
        );
        let all = printed(
            &[
                "--keep-days",
                "30",
                "--ice-servers",
                "stun:a.org:3478,turn:b.org",
            ],
            &[
                ("NOOM_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
                ("NOOM_LOG", "info,tower=debug"),
            ],
            "data-dir = 'a \"quoted\" \\ path'\n[rooms.\"회의 실\"]\nkeep_days = 7\n\
             [rooms.log]\nkeep_messages = 5",
        );
        for (text, config) in [defaults, by_acme, all] {
            let (again, same) = printed(&[], &[], &text);
            assert_eq!(format!("{same:?}"), format!("{config:?}"), "{text}");
            assert_eq!(again.lines().count(), text.lines().count());
        }
    }

    #[test]
    fn passwords_are_masked_in_a_text_that_still_is_a_file() {
        let words = "turn:user:pass,stun:a.org";
        let json = r#"[{"urls":["turn:b.org"],"username":"user","credential":"pass"}]"#;
        let table =
            "[[ice-servers]]\nurls = [\"turn:b.org\"]\nusername = \"user\"\ncredential = \"pass\"";
        let flags = |value| printed(&["--ice-servers", value], &[], "");
        let shown = [
            flags(&words.replace("pass", "pass@b.org")),
            flags(json),
            printed(&[], &[], table),
        ];
        for (text, config) in shown {
            assert!(!text.contains("pass"), "{text}");
            assert!(text.contains("masked"), "{text}");
            let (_, again) = printed(&[], &[], &text);
            assert_eq!(again.ice_servers[0].urls, config.ice_servers[0].urls);
            assert_eq!(again.ice_servers[0].username.as_deref(), Some("user"));
        }
    }
}

//! Tests of the precedence of layers and of refused values, as tables.

use super::*;
use crate::server::net::{KindRate, RequestKind};
use clap::{CommandFactory, Parser};
use std::path::Path;

fn resolve(flags: &[&str], env: &[(&str, &str)], file: &str) -> Result<Config, ConfigError> {
    let words = std::iter::once("noom").chain(flags.iter().copied());
    let flags = Flags::try_parse_from(words).expect("flags parse");
    let env = |name: &str| {
        let found = env.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Config::resolve(&flags, &env, &FileLayer::parse(file)?)
}

#[test]
fn flag_environment_file_and_default_have_this_precedence() {
    let file = "p2p-max = 3";
    let env = [("NOOM_P2P_MAX", "4")];
    let p2p_max = |config: Result<Config, ConfigError>| config.expect("accepted").p2p_max;
    assert_eq!(p2p_max(resolve(&[], &[], "")), 2);
    assert_eq!(p2p_max(resolve(&[], &[], file)), 3);
    assert_eq!(p2p_max(resolve(&[], &env, file)), 4);
    assert_eq!(p2p_max(resolve(&["--p2p-max", "5"], &env, file)), 5);
    assert_eq!(p2p_max(resolve(&[], &[("NOOM_P2P_MAX", "")], file)), 3);
}

#[test]
fn a_switch_is_on_by_its_name_alone_and_by_a_word_in_every_layer() {
    let hides = |config: Result<Config, ConfigError>| config.expect("accepted").hide_addresses;
    let (flag, env, file) = ("--hide-addresses", "NOOM_HIDE_ADDRESSES", "hide-addresses");
    assert!(!hides(resolve(&[], &[], "")));
    assert!(hides(resolve(&[flag], &[], "")));
    assert!(hides(resolve(&[], &[(env, "true")], "")));
    assert!(hides(resolve(&[], &[], &format!("{file} = true"))));
    let both = resolve(&[flag, "false"], &[(env, "true")], "");
    assert!(!hides(both), "a flag precedes the environment");
    let followed = resolve(&[flag, "--p2p-max", "5"], &[], "");
    assert!(hides(followed));
}

#[test]
fn a_profile_chooses_the_numbers_that_no_layer_gives_in_whichever_layer_it_is_named() {
    let file = "max-rooms = 7\nprofile = \"private\"";
    let env = [("NOOM_PROFILE", "public"), ("NOOM_ROOM_BYTES", "8")];
    let flags = ["--sockets-per-address", "9"];
    let config = resolve(&flags, &env, file).expect("accepted");
    assert_eq!(config.profile, Profile::Public);
    let given = (
        config.max_rooms,
        config.store.quota.room_bytes,
        config.sockets_per_address,
    );
    assert_eq!(given, (7, 8, 9), "what is given wins in every layer");
    let public = resolve(&["--profile", "public"], &[], "").expect("accepted");
    let chosen = |config: &Config| (config.polls_per_address, config.connections_per_address);
    assert_eq!(chosen(&config), chosen(&public));
    assert_eq!(chosen(&public), (20, 100));
    let private = resolve(&[], &[], "profile = \"private\"").expect("accepted");
    assert_eq!(chosen(&private), (50, 200));
    assert_eq!(
        format!("{private:?}"),
        format!("{:?}", resolve(&[], &[], "").expect("accepted"))
    );
}

#[test]
fn rates_that_are_given_change_those_of_the_profile_and_leave_the_others() {
    use crate::server::net::{RequestRateLimits, TotalRateLimits};
    let flags = ["--profile", "public", "--address-rates", "joins=9/99"];
    let env = [("NOOM_TOTAL_RATES", "joins=off")];
    let config = resolve(&flags, &env, "").expect("accepted");
    let address = RequestRateLimits::of(Profile::Public).to_string();
    let total = TotalRateLimits::of(Profile::Public).to_string();
    assert_eq!(
        config.request_rates.to_string(),
        address.replace("joins=2/60", "joins=9/99")
    );
    assert_eq!(
        config.total_rates.to_string(),
        total.replace("joins=200/4000,", "")
    );
}

#[test]
fn empty_rooms_are_forgotten_after_any_time_with_a_unit_or_never() {
    let after = |text: &str| {
        let config = resolve(&["--forget-empty-rooms", text], &[], "");
        config.expect("accepted").forget_empty_rooms
    };
    let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
    for (text, expected) in [
        ("120s", minutes(2)),
        ("10m", minutes(10)),
        ("24 h", minutes(24 * 60)),
        ("365d", minutes(365 * 24 * 60)),
        ("off", None),
    ] {
        assert_eq!(after(text), expected, "{text}");
    }
    for wrong in [
        "",
        "h",
        "0m",
        "119s",
        "366d",
        "99999999999999999999d",
        "1.5h",
        "-3h",
    ] {
        let flag = format!("--forget-empty-rooms={wrong}");
        assert!(resolve(&[&flag], &[], "").is_err(), "{wrong}");
    }
}

/// Flags, environment, file, and the texts that the error contains.
type Case<'a> = (
    &'a [&'a str],
    &'a [(&'a str, &'a str)],
    &'a str,
    [&'a str; 3],
);

#[test]
fn the_defaults_are_those_of_the_manual() {
    let config = resolve(&[], &[], "").expect("accepted");
    assert_eq!(config.listen, ([127, 0, 0, 1], 3000).into());
    assert_eq!(config.data_dir, Path::new("./data"));
    assert_eq!(config.media_listen, ([0, 0, 0, 0], 7882).into());
    assert_eq!(config.turn_listen, Some(([0, 0, 0, 0], 3478).into()));
    assert_eq!((config.room_capacity, config.max_rooms), (100, 10_000));
    assert!(config.ice_servers.is_empty() && config.public_url.is_none());
    assert_eq!(config.metrics_listen, Some(([127, 0, 0, 1], 9464).into()));
}

#[test]
fn the_address_of_cargo_leptos_replaces_only_the_default() {
    let leptos = ("LEPTOS_SITE_ADDR", "127.0.0.1:4000");
    let listen = |config: Result<Config, ConfigError>| config.expect("accepted").listen.port();
    assert_eq!(listen(resolve(&[], &[leptos], "")), 4000);
    assert_eq!(
        listen(resolve(&[], &[leptos, ("NOOM_LISTEN", "[::1]:5000")], "")),
        5000
    );
}

#[test]
fn a_wrong_value_is_refused_in_one_line_with_setting_value_and_what_is_accepted() {
    let table: [Case; 37] = [
        (
            &[],
            &[("NOOM_HIDE_ADDRESSES", "yes")],
            "",
            ["NOOM_HIDE_ADDRESSES", "yes", "true or false"],
        ),
        (
            &[],
            &[("NOOM_PROFILE", "family")],
            "",
            ["NOOM_PROFILE", "family", "private or public"],
        ),
        (
            &["--total-rates", "joins=all"],
            &[],
            "",
            ["--total-rates", "\"joins=all\"", "kind=off"],
        ),
        (
            &["--address-rates", "joins=off"],
            &[],
            "",
            ["--address-rates", "\"joins=off\"", "joins=5/200"],
        ),
        (
            &["--stored-rooms", "many"],
            &[],
            "",
            ["--stored-rooms", "many", "0 is no bound"],
        ),
        (
            &["--forget-empty-rooms", "1m"],
            &[],
            "",
            ["--forget-empty-rooms", "1m", "2m to 365d"],
        ),
        (
            &[],
            &[],
            "forget-empty-rooms = 24",
            ["forget-empty-rooms in --config", "24", "s, m, h or d"],
        ),
        (
            &[],
            &[],
            "list-rooms = true",
            ["list-rooms in --config", "true", "on or off"],
        ),
        (
            &["--p2p-max", "65"],
            &[],
            "",
            ["--p2p-max", "65", "0 to 64"],
        ),
        (
            &[],
            &[("NOOM_P2P_MAX", "two")],
            "",
            ["NOOM_P2P_MAX", "two", "0 to 64"],
        ),
        (
            &[],
            &[],
            "p2p-max = -1",
            ["p2p-max in --config", "-1", "0 to 64"],
        ),
        (
            &["--listen", "3000"],
            &[],
            "",
            ["--listen", "3000", "IP:port"],
        ),
        (
            &[],
            &[("LEPTOS_SITE_ADDR", "x")],
            "",
            ["LEPTOS_SITE_ADDR", "x", "IP:port"],
        ),
        (
            &["--data-dir-rights", "0755"],
            &[],
            "",
            ["--data-dir-rights", "0755", "private or any"],
        ),
        (
            &["--public-url", "meet.org"],
            &[],
            "",
            ["--public-url", "meet.org", "origin"],
        ),
        (
            &["--public-url", "https://a.org/x"],
            &[],
            "",
            ["--public-url", "/x", "--base-path"],
        ),
        (
            &["--base-path", "/noom/"],
            &[],
            "",
            ["--base-path", "/noom/", "does not end with it"],
        ),
        (
            &[],
            &[("NOOM_BASE_PATH", "/room")],
            "",
            ["NOOM_BASE_PATH", "/room", "a path of Noom"],
        ),
        (
            &["--adapter", "nats://h:1"],
            &[],
            "",
            ["--adapter", "nats", "local"],
        ),
        (&["--log", "a=b=c"], &[], "", ["--log", "a=b=c", "level"]),
        (
            &["--log-format", "xml"],
            &[],
            "",
            ["--log-format", "xml", "json"],
        ),
        (
            &["--trusted-proxies", "10.0.0.1,me"],
            &[],
            "",
            ["--trusted-proxies", "\"me\"", "IP"],
        ),
        (
            &["--trusted-proxies", "10.0.0.0/33"],
            &[],
            "",
            ["--trusted-proxies", "\"10.0.0.0/33\"", "10.0.0.0/8"],
        ),
        (
            &[],
            &[("NOOM_ADDRESS_RATES", "joins=5/200,tea=1/1")],
            "",
            ["NOOM_ADDRESS_RATES", "\"tea=1/1\"", "joins"],
        ),
        (
            &["--metrics-listen", "9464"],
            &[],
            "",
            ["--metrics-listen", "9464", "off"],
        ),
        (
            &["--connections-per-address", "0"],
            &[],
            "",
            ["--connections-per-address", "\"0\"", "1 to 1000000"],
        ),
        (
            &[],
            &[],
            "p2p_max = 2",
            ["--config", "\"p2p_max\"", "did you mean \"p2p-max\"?"],
        ),
        (
            &[],
            &[],
            "lisen = \"[::]:80\"",
            ["--config", "\"lisen\"", "did you mean \"listen\"?"],
        ),
        (
            &["--media-ip", "203.0.113.7,203.0.113.7:0"],
            &[],
            "",
            ["--media-ip", "\"203.0.113.7:0\"", "host names"],
        ),
        (
            &[],
            &[],
            "media-interfaces = [\"eth0\", \"!172.17.0.0/33\"]",
            ["media-interfaces", "\"!172.17.0.0/33\"", "!docker0"],
        ),
        (
            &["--room-bytes", "1 GiB"],
            &[],
            "",
            ["--room-bytes", "1 GiB", "bytes"],
        ),
        (
            &["--search-ms", "9"],
            &[],
            "",
            ["--search-ms", "9", "10 to 5000"],
        ),
        (
            &["--keep-days", "36501"],
            &[],
            "",
            ["--keep-days", "36501", "0 to 36500"],
        ),
        (
            &[],
            &[("NOOM_KEEP_MESSAGES", "all")],
            "",
            ["NOOM_KEEP_MESSAGES", "all", "messages"],
        ),
        (
            &[],
            &[],
            "[rooms.\"a b\"]\nkeep_days = -1",
            ["rooms.\"a b\".keep_days in --config", "-1", "days"],
        ),
        (
            &[],
            &[],
            "[rooms.team]\nkeep = 1",
            ["rooms.\"team\".keep", "unknown", "keep_days"],
        ),
        (
            &[],
            &[],
            "[rooms.\" \"]\nkeep_days = 1",
            ["rooms in --config", "\" \"", "room name"],
        ),
    ];
    for (flags, env, file, expected) in table {
        let line = resolve(flags, env, file).expect_err("refused").to_string();
        assert!(!line.contains('\n'), "{line}");
        for part in expected {
            assert!(line.contains(part), "{line} lacks {part}");
        }
    }
}

#[test]
fn ice_servers_parse_in_both_forms_and_errors_hide_passwords() {
    let servers = |text: &str| resolve(&["--ice-servers", text], &[], "").map(|c| c.ice_servers);
    let words = servers("stun:a.org:3478, turn:u:p:w@b.org?transport=tcp").expect("accepted");
    assert_eq!(words[0].urls, ["stun:a.org:3478"]);
    assert_eq!(words[1].urls, ["turn:b.org?transport=tcp"]);
    assert_eq!(words[1].credential.as_deref(), Some("p:w"));
    let json = servers(r#"[{"urls":"turn:c.org","username":"u","credential":"p"}]"#);
    assert_eq!(json.expect("accepted")[0].username.as_deref(), Some("u"));
    let file = resolve(&[], &[], "[[ice-servers]]\nurls = [\"stun:d.org\"]").expect("accepted");
    assert_eq!(file.ice_servers[0].urls, ["stun:d.org"]);
    for invalid in ["http://a.org", "turn:secret@", "turn:u:secret@a b", "[{}]"] {
        let line = servers(invalid).expect_err("refused").to_string();
        assert!(
            line.contains("--ice-servers") && !line.contains("secret"),
            "{line}"
        );
    }
}

#[test]
fn a_room_can_have_its_own_retention() {
    let file = "keep-days = 30\n[rooms.\"회의 실\"]\nkeep_days = 0\nkeep-messages = 5\n[rooms.log]";
    let limits = |days, messages| RetentionLimits { days, messages };
    let config = resolve(&["--keep-messages", "9"], &[], file).expect("accepted");
    let of = |name: &str| {
        let name = crate::protocol::RoomName::parse(name).expect("valid");
        config.retention.of(&name)
    };
    assert_eq!(of("회의 실"), limits(0, 5));
    assert_eq!((of("log"), of("else")), (limits(30, 9), limits(30, 9)));
    assert!(config.retention.is_by_age());
    let unset = resolve(&[], &[], "").expect("accepted");
    assert!(!unset.retention.is_by_age());
}

#[test]
fn help_names_every_setting_with_its_variable_and_default() {
    let help = Flags::command().render_long_help().to_string();
    for setting in &settings::SETTINGS {
        let (name, variable) = (setting.name, setting.variable());
        assert!(
            help.contains(&format!("--{name}")) && help.contains(&variable),
            "{name}"
        );
    }
    // `--config` has a default, too.
    let settings = settings::SETTINGS.len();
    assert_eq!(help.matches("[default:").count(), settings + 1);
}

#[test]
fn help_and_refusals_name_every_kind_of_address_rate_with_its_default() {
    let help = Flags::command().render_long_help().to_string();
    let words: Vec<&str> = help.split_whitespace().collect();
    let help = words.join(" ");
    let (_, help) = help
        .split_once("kind=amount/at-once, comma separated: ")
        .expect("it says how");
    let (kinds, rest) = help.split_once("; what is left out").expect("it ends");
    let refusal = resolve(&["--address-rates", "x=1/1"], &[], "").expect_err("refused");
    let refusal = refusal.to_string();
    let mut defaults = [Vec::new(), Vec::new()];
    for kind in RequestKind::ALL {
        let name = kind.name();
        assert!(kinds.contains(name), "{kinds} lacks {name}");
        assert!(refusal.contains(name), "{refusal} lacks {name}");
        for (defaults, profile) in defaults.iter_mut().zip(Profile::ALL) {
            let KindRate { amount, burst } = kind.address_rate(profile);
            defaults.push(format!("{name}={amount}/{burst}"));
        }
    }
    let [private, public] = defaults.map(|rates| rates.join(","));
    let defaults = format!("[default: {private}; public: {public}]");
    assert!(rest.contains(&defaults), "{rest} lacks {defaults}");
}

#[test]
fn an_unknown_flag_is_refused_with_the_nearest_one() {
    let refusal = Flags::try_parse_from(["noom", "--lisen", "[::1]:80"]).expect_err("refused");
    assert!(refusal.to_string().contains("'--listen'"), "{refusal}");
}

#[test]
fn help_says_that_polls_count_as_sockets_of_an_address() {
    let help = Flags::command().render_long_help().to_string();
    let (_, help) = help.split_once("--sockets-per-address").expect("named");
    let (help, _) = help.split_once("[env").expect("it ends");
    assert!(help.contains("polling connections"), "{help}");
}

#[test]
fn every_default_of_a_profile_is_accepted_in_every_layer() {
    for profile in Profile::ALL {
        assert_defaults_are_accepted(profile);
    }
}

/// Asserts that naming a profile is the same as giving each of its numbers.
fn assert_defaults_are_accepted(profile: Profile) {
    let defaults = || {
        let settings = settings::SETTINGS.iter();
        settings.filter_map(|setting| Some((setting, setting.default_value(profile)?)))
    };
    let flags: Vec<String> = defaults()
        .flat_map(|(setting, value)| [format!("--{}", setting.name), value])
        .collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let env: Vec<(String, String)> = defaults()
        .map(|(setting, value)| (setting.variable(), value))
        .collect();
    let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let file: Vec<String> = defaults()
        .map(|(setting, value)| format!("{} = {value:?}", setting.name))
        .collect();
    // The profile itself is among the settings.
    let named = |config: Config| format!("{:?}", Config { profile, ..config });
    let expected = named(resolve(&["--profile", profile.name()], &[], "").expect("accepted"));
    let of_flags = resolve(&flags, &[], "").expect("accepted");
    let of_env = resolve(&[], &env, "").expect("accepted");
    let of_file = resolve(&[], &[], &file.join("\n")).expect("accepted");
    for config in [of_flags, of_env, of_file] {
        assert_eq!(named(config), expected);
    }
}

/// The cells of each row of the table of settings in `docs/operating.md`.
fn documented_settings() -> Vec<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md");
    let page = std::fs::read_to_string(page).expect("a page");
    let (_, table) = page.split_once("| flag | environment |").expect("a table");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        row.trim_matches('|')
            .split(" | ")
            .map(|cell| cell.trim().to_owned())
            .collect()
    })
    .collect()
}

#[test]
fn the_table_of_settings_has_the_names_and_defaults_that_are_declared() {
    let mut rows = documented_settings();
    let config = rows.remove(0);
    assert_eq!(config[..2], ["`--config`", "`NOOM_CONFIG`"]);
    let mut missing: Vec<&str> = settings::names().collect();
    for row in rows {
        let name = row[0].trim_matches('`').trim_start_matches("--");
        let setting = settings::SETTINGS
            .iter()
            .find(|setting| setting.name == name);
        let setting = setting.unwrap_or_else(|| panic!("{name} is no setting"));
        missing.retain(|missing| *missing != name);
        assert_eq!(row[1], format!("`{}`", setting.variable()), "{name}");
        assert_eq!(row[2], format!("`{name}`"), "{name}");
        let [private, public] = Profile::ALL.map(|profile| setting.default_value(profile));
        let shown = match (private, public) {
            // The rates have a table of their own.
            _ if name.ends_with("-rates") => "see [limits per address]".to_owned(),
            (Some(private), Some(public)) if private != public => {
                format!("`{private}`; public: `{public}`")
            }
            (Some(value), _) => format!("`{value}`"),
            (None, _) => setting.default_text(),
        };
        assert!(
            row[3].starts_with(&shown),
            "{name}: {} is not {shown}",
            row[3]
        );
    }
    assert!(missing.is_empty(), "docs/operating.md lacks {missing:?}");
}

/// The cells of the rows of a section of `docs/operating.md` that begin with a name in backticks.
fn rows_of(heading: &str) -> Vec<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md");
    let page = std::fs::read_to_string(page).expect("a page");
    let mut sections = page.split("\n## ");
    let section = sections.find(|section| section.starts_with(heading));
    let rows = section.expect("a section").lines();
    let rows = rows.filter(|line| line.starts_with("| `"));
    let cells = |row: &str| {
        let cells = row.trim_matches('|').split(" | ");
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    rows.map(cells).collect()
}

#[test]
fn the_table_of_profiles_has_every_setting_in_which_they_differ_with_both_numbers() {
    let profiled = settings::SETTINGS.iter().filter(|s| s.is_profiled());
    let profiled: Vec<_> = profiled.filter(|s| !s.name.ends_with("-rates")).collect();
    assert!(profiled.len() > 5, "the profiles differ");
    let expected = profiled.iter().map(|setting| {
        let values = Profile::ALL.map(|profile| setting.default_value(profile));
        let values = values.map(|value| format!("`{}`", value.expect("a default")));
        let [private, public] = values;
        vec![format!("`{}`", setting.name), private, public]
    });
    let mut expected: Vec<Vec<String>> = expected.collect();
    let mut rows = rows_of("Profiles\n");
    rows.retain(|row| !row[0].contains("-rates"));
    for table in [&mut expected, &mut rows] {
        table.sort();
    }
    assert_eq!(rows, expected);
}

#[test]
fn the_table_of_limits_has_the_rates_of_both_profiles_of_one_address_and_of_all() {
    let rows = rows_of("Limits per address\n");
    assert_eq!(rows.len(), RequestKind::ALL.len());
    let shown = |rate: Option<KindRate>| match rate {
        Some(KindRate { amount, burst }) => format!("{amount}/{burst}"),
        None => "-".to_owned(),
    };
    for (kind, row) in RequestKind::ALL.into_iter().zip(rows) {
        assert!(row[0].starts_with(&format!("`{}`", kind.name())), "{row:?}");
        assert_eq!(row[1], kind.period().name(), "{row:?}");
        let one = Profile::ALL.map(|profile| shown(Some(kind.address_rate(profile))));
        let all = Profile::ALL.map(|profile| shown(kind.total_rate(profile)));
        assert_eq!(row[2..6], [one, all].concat(), "{row:?}");
    }
}

#[test]
fn the_protocol_names_the_rates_of_an_address_in_the_default_profile() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md");
    let page = std::fs::read_to_string(page).expect("a page");
    let rate = |kind: RequestKind| kind.address_rate(Profile::default());
    let new_rooms = rate(RequestKind::NewName);
    let row = format!(
        "| of these, where nothing is stored | {} an hour | {} |",
        new_rooms.amount, new_rooms.burst
    );
    assert!(page.contains(&row), "{row}");
    let gib = rate(RequestKind::DayBytes);
    assert_eq!((gib.amount, gib.burst), (1 << 30, 1 << 30), "1 GiB");
    assert!(page.contains("| 1 GiB a day | 1 GiB |"));
}

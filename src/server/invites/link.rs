//! The link of an invite, and the pictures and files that hold it.

use crate::{
    i18n::{Locale, td_string},
    protocol::{InviteId, InviteToken, RoomName},
    server::{BasePath, origin::Origin},
};
use icalendar::{Calendar, Component, Event, EventLike, Property};
use qrcode::{QrCode, render::svg};
use time::OffsetDateTime;

/// Pixels of a module of the QR code, so that a viewer that does not scale SVG shows it large enough.
const MODULE_PIXELS: u32 = 8;
/// Longest event of a calendar file. A year: the longest lifetime of an invite.
const MAX_EVENT_MS: i64 = 366 * 24 * 60 * 60 * 1000;
/// The end of the year 9999, after which a date has more digits than RFC 5545 allows.
const LAST_MS: i64 = 253_402_300_799_000;

/// The address that lets somebody into a room. Browsers send no fragment to a server, so the token
/// reaches no log on the way.
pub fn invite_link(site: &Origin, base: &BasePath, room: &RoomName, token: &InviteToken) -> String {
    let path = base.address(&room.path());
    format!("{site}{path}#invite={}", token.expose())
}

/// A QR code of a link as SVG: dark on light with a quiet zone, in every theme. `None` if the link is
/// too long for a QR code.
pub fn qr_code(link: &str) -> Option<String> {
    let code = QrCode::new(link).ok()?;
    let mut drawing = code.render::<svg::Color>();
    Some(
        drawing
            .module_dimensions(MODULE_PIXELS, MODULE_PIXELS)
            .build(),
    )
}

/// When a meeting takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeetingTime {
    /// The first moment.
    starts: OffsetDateTime,
    /// The moment after the last one.
    ends: OffsetDateTime,
}

impl MeetingTime {
    /// The time between two moments, in milliseconds since the Unix epoch. `None` if the meeting would
    /// take no time or more than a year, or would be outside of the years 1970 to 9999.
    pub fn between(starts_ms: i64, ends_ms: i64) -> Option<Self> {
        let lasts = ends_ms.checked_sub(starts_ms)?;
        let is_possible = (1..=MAX_EVENT_MS).contains(&lasts)
            && (0..=LAST_MS).contains(&starts_ms)
            && ends_ms <= LAST_MS;
        let at = |ms: i64| OffsetDateTime::from_unix_timestamp(ms / 1000).ok();
        let (starts, ends) = (at(starts_ms)?, at(ends_ms)?);
        (is_possible && starts < ends).then_some(Self { starts, ends })
    }
}

/// A calendar file (RFC 5545) with one event in UTC that holds the link. The event of an invite has
/// always the same id, so that a calendar replaces it when the file is opened again.
pub fn calendar_file(
    locale: Locale,
    room: &RoomName,
    id: &InviteId,
    link: &str,
    time: MeetingTime,
    now: OffsetDateTime,
) -> String {
    let title = td_string!(locale, invites.meeting_in, room = room.as_str()).to_string();
    let text = td_string!(locale, invites.meeting_text, link = link).to_string();
    let event = Event::new()
        .uid(&format!("noom-invite-{}", id.as_str()))
        .summary(&title)
        .description(&text)
        .location(link)
        .url(link)
        .add_property("DTSTAMP", utc(now))
        .add_property("DTSTART", utc(time.starts))
        .add_property("DTEND", utc(time.ends))
        .done();
    let mut calendar = Calendar::empty();
    for (name, value) in [
        ("VERSION", "2.0"),
        ("PRODID", "-//Noom//Noom//EN"),
        ("CALSCALE", "GREGORIAN"),
    ] {
        calendar.append_property(Property::new(name, value));
    }
    calendar.push(event).to_string()
}

/// A moment as `20260102T030405Z` (RFC 5545 section 3.3.5, form 2).
fn utc(at: OffsetDateTime) -> String {
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::invites::{InviteKey, new_invite_id};
    use leptos_i18n::Locale as _;
    use proptest::prelude::*;

    fn link_of(name: &str) -> (RoomName, InviteId, String) {
        let room = RoomName::parse(name).expect("valid");
        let id = new_invite_id();
        let token = InviteKey::new([7; 32]).token(&room, &id);
        let site = Origin::parse("https://meet.example.org").expect("an origin");
        let base = BasePath::parse("/noom").expect("a base path");
        let link = invite_link(&site, &base, &room, &token);
        (room, id, link)
    }

    fn file_of(locale: Locale, name: &str) -> (String, String) {
        let (room, id, link) = link_of(name);
        let time = MeetingTime::between(1_800_000_000_000, 1_800_003_600_000).expect("possible");
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).expect("a time");
        (calendar_file(locale, &room, &id, &link, time, now), link)
    }

    /// The lines of a file, unfolded (RFC 5545 section 3.1), after a check of its line ends.
    fn content_lines(file: &str) -> Vec<String> {
        let rest = file.strip_suffix("\r\n").expect("ends with CRLF");
        let mut lines = Vec::<String>::new();
        for line in rest.split("\r\n") {
            // A line should have at most 75 bytes; the library's last line of a fold may have 76.
            assert!(line.len() <= 76 && !line.contains(['\r', '\n']), "{line:?}");
            match (line.strip_prefix(' '), lines.last_mut()) {
                (Some(more), Some(last)) => last.push_str(more),
                (Some(_), None) => panic!("starts with a fold"),
                (None, _) => lines.push(line.to_owned()),
            }
        }
        lines
    }

    /// The only value of a property, with its text unescaped (RFC 5545 section 3.3.11).
    fn text_of(lines: &[String], name: &str) -> String {
        let prefix = format!("{name}:");
        let mut values = lines.iter().filter_map(|line| line.strip_prefix(&prefix));
        let value = values
            .next()
            .unwrap_or_else(|| panic!("{name} in {lines:#?}"));
        assert_eq!(values.next(), None, "{name} once");
        let mut text = String::new();
        let mut letters = value.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some('n' | 'N') => text.push('\n'),
                    Some(escaped @ ('\\' | ';' | ',')) => text.push(escaped),
                    other => panic!("an escape of {other:?} in {value}"),
                },
                ';' | ',' => panic!("{letter} is not escaped in {value}"),
                other => text.push(other),
            }
        }
        text
    }

    #[test]
    fn the_link_has_the_site_the_base_path_the_room_and_the_token() {
        let (_, id, link) = link_of("지역 모임, 1/2");
        let start = "https://meet.example.org/noom/room/%EC%A7%80%EC%97%AD%20%EB%AA%A8%EC%9E%84%2C%201%2F2#invite=";
        let token = link.strip_prefix(start).expect("the documented form");
        assert!(token.len() == 34 && token.starts_with(id.as_str()));
    }

    #[test]
    fn the_event_has_its_time_in_utc_and_the_link() {
        let (file, link) = file_of(Locale::en, "team; a, b\\c");
        let lines = content_lines(&file);
        assert_eq!(lines[0], "BEGIN:VCALENDAR");
        assert_eq!(lines.last().map(String::as_str), Some("END:VCALENDAR"));
        assert_eq!(text_of(&lines, "DTSTART"), "20270115T080000Z");
        assert_eq!(text_of(&lines, "DTEND"), "20270115T090000Z");
        assert_eq!(text_of(&lines, "DTSTAMP"), "20260921T141320Z");
        assert_eq!(text_of(&lines, "SUMMARY"), "Meeting in team; a, b\\c");
        assert_eq!(text_of(&lines, "URL"), link);
        assert!(text_of(&lines, "DESCRIPTION").contains(&link));
        let (korean, _) = file_of(Locale::ko, "team");
        assert_ne!(
            text_of(&content_lines(&korean), "SUMMARY"),
            "Meeting in team"
        );
    }

    #[test]
    fn impossible_times_have_no_event() {
        const HOUR: i64 = 3_600_000;
        assert!(MeetingTime::between(0, HOUR).is_some());
        assert!(MeetingTime::between(LAST_MS - HOUR, LAST_MS).is_some());
        for (starts, ends) in [
            (0, 0),
            (HOUR, 0),
            (0, 1),
            (0, MAX_EVENT_MS + 1),
            (-HOUR, HOUR),
            (LAST_MS, LAST_MS + HOUR),
            (i64::MIN, i64::MAX),
            (i64::MAX, i64::MIN),
        ] {
            assert_eq!(MeetingTime::between(starts, ends), None, "{starts} {ends}");
        }
    }

    #[test]
    fn the_longest_name_fits_into_a_qr_code_without_style_or_script() {
        let (_, _, link) = link_of(&"😀".repeat(64));
        assert!(link.len() > 768, "each byte is escaped");
        let drawn = qr_code(&link).expect("fits");
        assert!(
            drawn.ends_with("</svg>") && drawn.len() < 256 * 1024,
            "{}",
            drawn.len()
        );
        for forbidden in ["style", "script", "href", "http://meet", "https://"] {
            assert!(!drawn.contains(forbidden), "{forbidden}");
        }
        assert_eq!(qr_code(&"x".repeat(4_000)), None);
    }

    proptest! {
        #[test]
        fn every_name_stays_whole_in_the_file(
            name in "[a-zA-Z0-9 ,;:\\\\\"=가-힣\u{5d0}-\u{5ea}\u{1f600}-\u{1f640}é_-]{1,64}",
        ) {
            let Ok(room) = RoomName::parse(&name) else {
                return Ok(());
            };
            for locale in Locale::get_all() {
                let (file, link) = file_of(*locale, room.as_str());
                let lines = content_lines(&file);
                prop_assert!(text_of(&lines, "SUMMARY").contains(room.as_str()));
                prop_assert_eq!(text_of(&lines, "LOCATION"), link);
            }
        }
    }
}

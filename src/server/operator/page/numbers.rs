//! Counts, sizes and times as people write them.

pub use crate::server::disk::size;

use crate::server::store::COUNTED;
use time::OffsetDateTime;

/// A count of messages: "9,999", or "10,000+" where nobody counts further.
pub fn count(number: u64) -> String {
    let digits = number.min(COUNTED).to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number >= COUNTED {
        text.push('+');
    }
    text
}

/// A bitrate: "64 kbit/s", "1.5 Mbit/s".
pub fn bitrate(bps: u64) -> String {
    match bps {
        ..1_000_000 => format!("{} kbit/s", bps / 1000),
        _ => format!("{:.1} Mbit/s", bps as f64 / 1_000_000.0),
    }
}

/// A share as a percentage: "1.5 %".
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share.clamp(0.0, 1.0))
}

/// A time in UTC: "2026-11-29 23:45".
pub fn moment(ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000));
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, time) = (at.date(), at.time());
    let (month, day) = (u8::from(date.month()), date.day());
    let (hour, minute) = (time.hour(), time.minute());
    format!(
        "{:04}-{month:02}-{day:02} {hour:02}:{minute:02}",
        date.year()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!([count(0), count(999), count(1_234)], ["0", "999", "1,234"]);
        assert_eq!(count(COUNTED), "10,000+");
        assert_eq!([size(0), size(1023)], ["0 B", "1023 B"]);
        assert_eq!([size(1536), size(8 << 30)], ["1.5 KiB", "8.0 GiB"]);
        assert_eq!(size(u64::MAX), "16384.0 PiB");
        assert_eq!(
            [bitrate(64_500), bitrate(2_500_000)],
            ["64 kbit/s", "2.5 Mbit/s"]
        );
        assert_eq!([percent(0.015), percent(2.0)], ["1.5 %", "100.0 %"]);
        assert_eq!(moment(1_796_000_000_000), "2026-11-30 00:53");
    }
}

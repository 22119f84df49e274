//! Wall-clock time as it is written: RFC 3339, UTC, microseconds.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment taken apart.
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
    micros: u32,
}

/// `2026-11-20T14:03:07.123456Z`
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let Civil { year, month, day, second_of_day: s, micros } = civil(time);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}Z", s / 3600, s / 60 % 60, s % 60)
}

/// `2026-11-20`
pub(super) fn date(time: SystemTime) -> String {
    let Civil { year, month, day, .. } = civil(time);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `14:03:07Z`
pub(super) fn time_of_day(time: SystemTime) -> String {
    let s = civil(time).second_of_day;
    format!("{:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60)
}

/// The proleptic Gregorian calendar, counted in years that begin in March, so that the odd day comes last.
fn civil(time: SystemTime) -> Civil {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let days = since.as_secs() / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    Civil {
        year: era * 400 + year_of_era + u64::from(month <= 2),
        month,
        day: day_of_year - (153 * shifted + 2) / 5 + 1,
        second_of_day: since.as_secs() % 86_400,
        micros: since.subsec_micros(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_right_also_around_leap_days() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
        let time = UNIX_EPOCH + Duration::new(50_587, 123_456_789);
        assert_eq!(rfc3339(time), "1970-01-01T14:03:07.123456Z");
        assert_eq!(time_of_day(time), "14:03:07Z");
    }
}

//! How long a day of a lifecycle is.

/// A real day, in milliseconds.
const DAY: i64 = 86_400_000;

/// Days, or the short ones of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    day: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { day: DAY }
    }
}

impl Clock {
    /// A clock whose days have so many seconds, for tests: without midnights.
    pub fn of_seconds(seconds: u32) -> Self {
        Self { day: i64::from(seconds.max(1)) * 1000 }
    }

    /// A day, in milliseconds.
    pub fn day(self) -> i64 {
        self.day
    }

    /// So many days after a time, and then the next midnight UTC, as S3 counts.
    pub fn after(self, time: i64, days: u32) -> i64 {
        let later = time.saturating_add(self.day.saturating_mul(i64::from(days)));
        if self.day != DAY {
            return later;
        }
        let over = later.rem_euclid(DAY);
        if over == 0 { later } else { later.saturating_add(DAY - over) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_end_at_midnight() {
        // 15 January 2014, 10:30, and three days: 19 January, as S3's documentation has it.
        assert_eq!(Clock::default().after(1_389_781_800_000, 3), 1_390_089_600_000);
        assert_eq!(Clock::of_seconds(10).after(7, 3), 30_007);
    }

    proptest! {
        #[test]
        fn nothing_is_due_early(time in 0_i64..4_000_000_000_000, days in 0_u32..100_000) {
            let due = Clock::default().after(time, days);
            prop_assert!(due >= time + DAY * i64::from(days));
            prop_assert!(due < time + DAY * (i64::from(days) + 1));
            prop_assert_eq!(due % DAY, 0);
        }
    }
}

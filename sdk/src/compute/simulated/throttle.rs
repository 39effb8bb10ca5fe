//! How many calls Batch takes.

use std::time::Duration;

/// A second's worth of calls may come at once; then as many come through as the rate allows.
#[derive(Debug, Clone, Default)]
pub(super) struct Throttle {
    rate: Option<u32>,
    /// Calls that it would take now.
    left: f64,
    filled: Duration,
}

impl Throttle {
    pub(super) fn set(&mut self, rate: Option<u32>) {
        if self.rate != rate {
            self.left = rate.unwrap_or_default().into();
            self.rate = rate;
        }
    }

    /// True if one more call comes through.
    pub(super) fn takes(&mut self, now: Duration) -> bool {
        let Some(rate) = self.rate.map(f64::from) else { return true };
        let passed = now.saturating_sub(self.filled);
        self.filled = now;
        self.left = rate.min(self.left + rate * passed.as_secs_f64());
        let takes = self.left >= 1.0;
        if takes {
            self.left -= 1.0;
        }
        takes
    }
}

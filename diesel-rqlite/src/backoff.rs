//! Pauses that grow.

use std::time::Duration;

/// Returns the pause after so many others: the first one is `first`, each further one is twice as long, and none is
/// longer than `longest`.
pub(crate) fn pause(first: Duration, before: u32, longest: Duration) -> Duration {
    first
        .saturating_mul(2_u32.saturating_pow(before))
        .min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pause = |before| {
            pause(
                Duration::from_millis(50),
                before,
                Duration::from_millis(500),
            )
        };
        let pauses: Vec<_> = (0..5).map(|before| pause(before).as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 500]);
        assert_eq!(pause(u32::MAX).as_millis(), 500);
    }
}

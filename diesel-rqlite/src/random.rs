//! What is left to chance.

use std::time::Duration;

fn random() -> u64 {
    // Fails only on a system without any source of randomness; a constant is then no surprise.
    getrandom::u64().unwrap_or_default()
}

/// 128 random bits in hexadecimal.
pub(crate) fn token() -> String {
    format!("{:016x}{:016x}", random(), random())
}

/// A delay, longer or shorter by up to a half, so that those who wait do not wait in step.
pub(crate) fn jittered(delay: Duration) -> Duration {
    let permille = u16::try_from(random() % 1001).unwrap_or(500);
    let seconds = delay.as_secs_f64() * (0.5 + f64::from(permille) / 1000.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_around_the_interval() {
        let interval = Duration::from_millis(50);
        let waits: Vec<_> = (0..100).map(|_| jittered(interval)).collect();
        assert!(
            waits
                .iter()
                .all(|wait| (interval / 2..=interval * 3 / 2).contains(wait)),
            "{waits:?}"
        );
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
        assert_eq!(jittered(Duration::ZERO), Duration::ZERO);
        assert!(jittered(Duration::MAX) > Duration::from_secs(1));
    }
}

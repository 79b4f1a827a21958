//! Random values.

use std::time::Duration;

/// The error that the system provides no randomness. A caller that needs a unique value can't continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's source of randomness fails")]
pub(crate) struct NoRandomness;

/// A source of random bits.
type Source = fn() -> Result<u64, NoRandomness>;

fn system() -> Result<u64, NoRandomness> {
    getrandom::u64().map_err(|_| NoRandomness)
}

/// Returns 128 random bits in hexadecimal.
pub(crate) fn token() -> Result<String, NoRandomness> {
    token_of(system)
}

fn token_of(source: Source) -> Result<String, NoRandomness> {
    Ok(format!("{:016x}{:016x}", source()?, source()?))
}

/// Returns the delay, longer or shorter by up to a half, so that waiting clients do not retry at the same time.
pub(crate) fn jittered(delay: Duration) -> Duration {
    jittered_by(system, delay)
}

/// Returns the delay itself if there is no randomness. Only speed depends on it.
fn jittered_by(source: Source, delay: Duration) -> Duration {
    let permille = source().map_or(500, |random| random % 1001);
    let permille = u16::try_from(permille).unwrap_or(500);
    let seconds = delay.as_secs_f64() * (0.5 + f64::from(permille) / 1000.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token without randomness could give two owners of one lock the same name.
    #[test]
    fn without_randomness_there_is_no_token() {
        assert_eq!(token_of(|| Err(NoRandomness)), Err(NoRandomness));
        assert_ne!(token(), token());
        assert_eq!(
            jittered_by(|| Err(NoRandomness), Duration::from_secs(1)),
            Duration::from_secs(1)
        );
    }

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

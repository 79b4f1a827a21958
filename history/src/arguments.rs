//! Options of a command line, for all programs of this crate: flags, and names with a value behind them.

use std::str::FromStr;
use std::time::Duration;

/// What a program can be told.
pub trait Settings {
    /// Sets what needs no value; `false` if there is no such flag.
    ///
    /// # Errors
    ///
    /// Why it can't be set.
    fn flag(&mut self, name: &str) -> Result<bool, String>;

    /// Sets what has a value.
    ///
    /// # Errors
    ///
    /// What is wrong with it, from [`Argument`].
    fn set(&mut self, argument: &Argument<'_>) -> Result<(), String>;
}

/// Reads all that stands behind a program's name.
///
/// # Errors
///
/// What is not understood.
pub fn read(
    settings: &mut impl Settings,
    mut arguments: impl Iterator<Item = String>,
) -> Result<(), String> {
    while let Some(name) = arguments.next() {
        if settings.flag(&name)? {
            continue;
        }
        let value = arguments.next();
        let value = value.ok_or_else(|| format!("{name} is no option, or lacks its value"))?;
        settings.set(&Argument {
            name: &name,
            value: &value,
        })?;
    }
    Ok(())
}

/// An option and its value.
#[derive(Clone, Copy, Debug)]
pub struct Argument<'a> {
    /// With both hyphens.
    pub name: &'a str,
    /// As it was written.
    pub value: &'a str,
}

impl Argument<'_> {
    /// A number, not below the least.
    ///
    /// # Errors
    ///
    /// That it is none.
    pub fn number<T: FromStr + PartialOrd>(&self, least: T) -> Result<T, String> {
        let number = self.value.parse().ok().filter(|number| *number >= least);
        let (name, value) = (self.name, self.value);
        number.ok_or_else(|| format!("{name}: {value:?} is no number, or too small"))
    }

    /// A time such as `200ms` or `2s`.
    ///
    /// # Errors
    ///
    /// That it is none.
    pub fn duration(&self) -> Result<Duration, String> {
        self.one(|value| match value.strip_suffix("ms") {
            Some(number) => number.parse().ok().map(Duration::from_millis),
            None => value
                .strip_suffix('s')?
                .parse()
                .ok()
                .map(Duration::from_secs),
        })
    }

    /// What has this name.
    ///
    /// # Errors
    ///
    /// That nothing has.
    pub fn one<T>(&self, from_name: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        from_name(self.value).ok_or_else(|| self.none(self.value))
    }

    /// What has these names, by commas.
    ///
    /// # Errors
    ///
    /// The first name that nothing has.
    pub fn list<T>(&self, from_name: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
        let names = self.value.split(',');
        let all = names.map(|name| from_name(name).ok_or_else(|| self.none(name)));
        all.collect()
    }

    fn none(&self, value: &str) -> String {
        format!("{}: {value:?} is none", self.name)
    }

    /// That there is no such option.
    pub fn unknown(&self) -> String {
        format!("{} is no option", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(value: &str) -> Argument<'_> {
        Argument { name: "--x", value }
    }

    #[test]
    fn values_are_read_or_named() {
        assert_eq!(argument("3").number(1), Ok(3));
        assert!(argument("0").number(1).is_err());
        assert_eq!(argument("200ms").duration(), Ok(Duration::from_millis(200)));
        assert_eq!(argument("2s").duration(), Ok(Duration::from_secs(2)));
        assert!(argument("2").duration().is_err());
        let word = |name: &str| (name == "a").then_some(1);
        assert_eq!(argument("a,a").list(word), Ok(vec![1, 1]));
        let error = argument("a,b").list(word).expect_err("b is none");
        assert_eq!(error, "--x: \"b\" is none");
    }
}

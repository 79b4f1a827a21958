//! Options whose values are words. Each has one table of words, which [`FromStr`](std::str::FromStr), URLs and
//! [`Display`](std::fmt::Display) use.

use std::fmt;

/// The error of parsing an option that is a word, such as [`ReadConsistency`](crate::ReadConsistency).
///
/// Its text lists the known words. The parsed text is not kept: it may be a misplaced password.
///
/// ```
/// use diesel_rqlite::ReadConsistency;
///
/// assert_eq!("weak".parse(), Ok(ReadConsistency::Weak));
/// assert_eq!(ReadConsistency::Weak.to_string(), "weak");
///
/// let error = "fresh".parse::<ReadConsistency>().unwrap_err();
/// assert_eq!(error.known(), ["none", "weak", "linearizable", "strong", "auto"]);
/// assert_eq!(error.to_string(), "a read consistency is one of none, weak, linearizable, strong, auto");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWord {
    what: &'static str,
    known: &'static [&'static str],
}

impl UnknownWord {
    pub(crate) fn new(what: &'static str, known: &'static [&'static str]) -> Self {
        UnknownWord { what, known }
    }

    /// Returns the words of the option.
    pub fn known(&self) -> &'static [&'static str] {
        self.known
    }
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} is one of {}",
            self.what,
            self.known.join(", ")
        )
    }
}

impl std::error::Error for UnknownWord {}

/// The words of an enum without fields.
macro_rules! words {
    ($what:literal, $option:ident { $($variant:ident = $word:literal,)+ }) => {
        impl $option {
            /// Returns the word that names the value in a URL.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $($option::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $option {
            /// Writes the value as in a URL.
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.name())
            }
        }

        impl std::str::FromStr for $option {
            type Err = $crate::word::UnknownWord;

            /// Reads the value as in a URL.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok($option::$variant),)+
                    _ => Err($crate::word::UnknownWord::new($what, &[$($word),+])),
                }
            }
        }
    };
}

pub(crate) use words;

//! Replaces parts of a statement's text, by the positions of its tokens.

use std::ops::Range;

use crate::error::SqlError;
use crate::parse::parse;
use crate::parsed::Parsed;

/// A replacement for a part of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The bytes of the text that are replaced. The range is empty if the text is inserted.
    pub range: Range<usize>,
    /// The replacement.
    pub text: String,
}

impl Parsed<'_> {
    /// Returns the range of all tokens.
    pub fn all(&self) -> Range<usize> {
        0..self.tokens.len()
    }

    /// Returns the text of these tokens and everything between them, with the pins applied. `variable` writes each
    /// placeholder: it receives the index of the placeholder among all of them, its bytes in the text, and the
    /// output.
    pub fn rewritten(
        &self,
        tokens: Range<usize>,
        pins: &[Pin],
        mut variable: impl FnMut(usize, Range<usize>, &mut String),
    ) -> String {
        let bytes = self.bytes(&tokens);
        let mut sql = String::with_capacity(bytes.len() + bytes.len() / 4);
        let mut copied = bytes.start;
        let mut pins = pins
            .iter()
            .filter(|pin| bytes.start <= pin.range.start && pin.range.end <= bytes.end)
            .peekable();
        let mut put = |sql: &mut String, copied: &mut usize, end: usize| {
            while let Some(pin) = pins.next_if(|pin| pin.range.start <= end) {
                sql.push_str(&self.text[*copied..pin.range.start.max(*copied)]);
                sql.push_str(&pin.text);
                *copied = pin.range.end.max(*copied);
            }
        };
        let first = self.variables_before(tokens.start);
        let behind = self.variables_before(tokens.end);
        for place in first..behind {
            let token = self.clauses.variables[place] as usize;
            let range = self.tokens[token].range();
            put(&mut sql, &mut copied, range.start);
            // The token is inside a pin.
            if range.start < copied {
                continue;
            }
            sql.push_str(&self.text[copied..range.start]);
            variable(place, range.clone(), &mut sql);
            copied = range.end;
        }
        put(&mut sql, &mut copied, bytes.end);
        sql.push_str(&self.text[copied..bytes.end.max(copied)]);
        sql
    }

    /// Applies these pins and parses the result.
    pub(crate) fn reread(&self, pins: &[Pin]) -> Result<Parsed<'static>, SqlError> {
        let text = self.rewritten(self.all(), pins, |_, range, sql| {
            sql.push_str(&self.text[range])
        });
        let mut parsed = parse(&text)?;
        if parsed.len() != 1 {
            return Err(SqlError::Several);
        }
        let mut parsed = parsed.remove(0).into_owned();
        parsed.position = self.position;
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    #[test]
    fn pins_and_placeholders_are_put_into_any_part() {
        let parsed = parse("UPDATE t SET a = now() + ?, b = :c WHERE d = ? -- e\n RETURNING f")
            .expect("parses")
            .remove(0);
        let at = parsed.text().find("now()").expect("is there");
        let pin = Pin {
            range: at..at + 5,
            text: "'12'".to_owned(),
        };
        let numbered = |place: usize, _: Range<usize>, sql: &mut String| {
            sql.push_str(&format!("?{}", place + 1));
        };
        let pins = std::slice::from_ref(&pin);
        assert_eq!(
            parsed.rewritten(parsed.all(), pins, numbered),
            "UPDATE t SET a = '12' + ?1, b = ?2 WHERE d = ?3 -- e\n RETURNING f"
        );
        let returning = parsed.returning().expect("has it");
        assert_eq!(
            parsed.rewritten(parsed.before(returning), pins, numbered),
            "UPDATE t SET a = '12' + ?1, b = ?2 WHERE d = ?3"
        );
        assert_eq!(
            parsed.rewritten(returning..returning + 2, pins, numbered),
            "RETURNING f"
        );
        assert_eq!(parsed.rewritten(0..0, pins, numbered), "");
    }
}

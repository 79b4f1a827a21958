//! A statement's text with some of it replaced, by the places that its tokens have in it.

use std::ops::Range;

use crate::error::SqlError;
use crate::parse::parse;
use crate::parsed::Parsed;

/// What stands in place of a part of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The bytes of the text that it replaces; none where it is put in.
    pub range: Range<usize>,
    /// What stands there instead.
    pub text: String,
}

impl Parsed<'_> {
    /// All tokens.
    pub fn all(&self) -> Range<usize> {
        0..self.tokens.len()
    }

    /// The text of these tokens, and of what is between them, with pins put in, and each placeholder written by
    /// `variable`: it is given the place of the placeholder among all of them, its bytes in the text, and where to write.
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
            // Inside of a pin.
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

    /// The statement that it is with these in it, read anew.
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

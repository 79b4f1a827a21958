//! Text that is rarely SQL: what begins, ends and separates tokens, in any order.

use crate::number;
use crate::random::Random;

const PIECES: &[&str] = &[
    "'", "''", "\"", "`", "[", "]", "--", "-", "->", "->>", "/*", "*/", "/", "*", "/**/", "/*/",
    "\n", "\r", "\t", " ", "\u{c}", "\u{b}", "\u{a0}", "\u{feff}", ";", ",", ".", "(", ")", "=",
    "==", "<>", "!=", "<=", ">>", "||", "|", "&", "~", "!", "%", "+", "?", "?1", "?0", "?99999",
    ":", "::", ":a", "@a", "@", "$", "$a", "$::a", "$a::b(c)", "$a(", "$a(b c)", "::a", "#", "#a",
    "#1", "{", "}", "^", "\\", "0", "1", "1.", ".1", "1.5", "1e5", "1e", "1e+5", "1e-", "1.e5",
    "1_000", "_1", "0x", "0x1F", "0x1e+5", "0xg", "1a", "1.2.3", "1..2", "x'00'", "x'0'", "X''",
    "x'zz'", "x''a", "x", "x ", "e", "é", "🦀", "a", "SELECT", "now", "'now'", "\"now\"", "[now]",
    "`now`", "a$b", "a.b", "NULL",
];

/// Some thousand texts, the same in each run.
pub(crate) fn pieces() -> Vec<String> {
    let mut random = Random::new(number("READING_SEED", 12) as u64);
    let texts = (0..4 * number("READING_CASES", 5000)).map(|case| {
        let all = 1 + case % 8;
        (0..all).map(|_| random.pick(PIECES)).collect()
    });
    // Each alone, and each with each.
    let alone = PIECES.iter().map(|piece| (*piece).to_owned());
    let pairs = PIECES
        .iter()
        .flat_map(|first| PIECES.iter().map(move |second| format!("{first}{second}")));
    alone.chain(pairs).chain(texts).collect()
}

//! `migration …`

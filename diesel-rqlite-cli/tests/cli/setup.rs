//! `setup`, `database …`

//! A runner without weights.

//! What the roles need from outside, each behind a type or trait of its own.

pub mod config;
pub mod service;
pub mod state;

pub mod storage;

//! The counter service.
fn main() {}

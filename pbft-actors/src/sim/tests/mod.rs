//! Tests of the simulator itself: that it finds what is planted, and says it well.

mod checker;
mod embed;
mod shrink;

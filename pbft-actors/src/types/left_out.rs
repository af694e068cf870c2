//! Rules that a test leaves out, on its own thread only, to show that they are missed.

use std::cell::Cell;

/// A rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LeftOut {
    /// A quorum is one less.
    OneOfAQuorum,
}

thread_local! {
    static LEFT_OUT: Cell<Option<LeftOut>> = const { Cell::new(None) };
}

/// Leaves a rule out from now on.
pub(crate) fn leave_out(rule: LeftOut) {
    LEFT_OUT.set(Some(rule));
}

pub(crate) fn is_left_out(rule: LeftOut) -> bool {
    LEFT_OUT.get() == Some(rule)
}

//! Going on from a state on disk (PROTOCOL 8 and 11).

use super::*;

#[test]
fn an_executor_goes_on_from_a_state_that_was_saved() {
    let mut former = opened();
    execute(&mut former, 2, [asks(1, "+")]);
    execute_null(&mut former, 3);
    let held = taken(&execute_null(&mut former, 4)).expect("K = 4");
    let mut restored = Executor::restored(executor().config, &held.snapshot);
    assert_eq!(restored.start(), held);
    assert_eq!(ask(&mut restored, &asks(1, "+")), [answer(&asks(1, "+"), 2, done("1"))], "its first answer");
    let after = execute(&mut restored, 5, [asks(2, "+")]);
    assert_eq!(answers(&after), [answer(&asks(2, "+"), 5, done("2"))]);
}

//! A search as those see it who run it.

use super::Limits;
use super::search;
use crate::types::ReplicaId;

/// Looks at everything that can happen within the limits while this replica lies, and says what that was.
///
/// # Errors
/// What does not hold, and how it came about.
pub fn explore(liar: ReplicaId, limits: &Limits) -> Result<String, String> {
    let explored = search::explore(liar, limits);
    if let Some(violation) = explored.violation {
        return Err(violation);
    }
    let search::Explored {
        states, steps, locals, inputs, made, depth, complete, cut, executed, changed, ..
    } = explored;
    let how_far = match (complete, cut) {
        (true, false) => "all of them",
        (true, true) => "all of them within the limit of unseen steps",
        (false, _) => "not all of them",
    };
    Ok(format!(
        "replica {liar} lies: {states} states ({how_far}), {steps} steps, depth {depth}; {locals} states of single \
         replicas, {inputs} messages, {made} steps of real replicas; executed {executed}, voted in view 1 {changed}"
    ))
}

//! Steps of one replica that nobody else sees, and when they need not be tried.
//!
//! What a replica hears and nobody sees it do anything about can wait: it stays, so it can be heard after
//! the next step that is seen. Where that leads to the same state, and shows the others the same, only that
//! is tried.

use std::collections::BTreeSet;

use super::local::{InputId, LocalId, Locals};

/// Where a replica can go.
pub(super) struct Found {
    /// States after one step that others see.
    pub(super) next: Vec<LocalId>,
    /// Whether more unseen steps in a row than the limit could have been taken.
    pub(super) cut: bool,
}

/// Every step that others see, after at most `unseen` ones that they do not.
pub(super) fn steps_from(locals: &mut Locals, base: LocalId, inputs: &[InputId], unseen: usize) -> Found {
    let mut next = BTreeSet::new();
    let mut met = BTreeSet::from([base]);
    let mut chains: Vec<(LocalId, Vec<InputId>)> = vec![(base, Vec::new())];
    let mut cut = false;
    while let Some((local, heard)) = chains.pop() {
        for input in inputs {
            let Some(step) = locals.step(local, *input) else { continue };
            if step.visible {
                if !can_wait(locals, base, &heard, *input, step.to) {
                    next.insert(step.to);
                }
            } else if heard.len() == unseen {
                cut = true;
            } else if met.insert(step.to) {
                chains.push((step.to, [&heard[..], &[*input]].concat()));
            }
        }
    }
    Found { next: next.into_iter().collect(), cut }
}

/// Whether one of the unseen steps can as well follow the one that is seen.
fn can_wait(locals: &mut Locals, base: LocalId, heard: &[InputId], seen: InputId, end: LocalId) -> bool {
    (0..heard.len()).any(|at| {
        let mut local = base;
        for input in heard[..at].iter().chain(&heard[at + 1..]) {
            match locals.step(local, *input) {
                Some(step) if step.visible => return false,
                Some(step) => local = step.to,
                None => {}
            }
        }
        let Some(step) = locals.step(local, seen).filter(|step| step.visible) else { return false };
        match locals.step(step.to, heard[at]) {
            Some(later) => !later.visible && later.to == end,
            None => step.to == end,
        }
    })
}

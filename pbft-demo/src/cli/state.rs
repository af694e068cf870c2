//! Looks at the directories of replicas that do not run.

use std::path::Path;

use pbft_actors::actor::{SavedState, StateSummary};

use super::replica::open;
use super::{StateAction, StateArgs};
use crate::Failure;
use crate::config::to_hex;

pub(super) fn run(args: StateArgs) -> Result<(), Failure> {
    match args.action {
        StateAction::Verify { data } => {
            let summary = verified(&data)?.1;
            println!("{}", line(&summary));
            Ok(())
        }
        StateAction::Hash { data } => {
            let (state, summary) = verified(&data)?;
            println!("{}", line(&summary));
            for (index, digest) in state.page_digests() {
                println!("page {index} {}", to_hex(&digest.0));
            }
            Ok(())
        }
        StateAction::Diff { one, other } => diff(&one, &other),
    }
}

/// The state in a directory, if all of it is as it was saved.
fn verified(data: &Path) -> Result<(SavedState, StateSummary), Failure> {
    if !data.join("state").is_file() {
        let cause = format!("{} holds no state", data.display());
        return Err(Failure::new(cause, "name the directory of one replica, such as D/data/0"));
    }
    let state = open(data)?.saved_state().map_err(|error| {
        Failure::new(error.to_string(), "start the replica: it fetches what it lacks from the others")
    })?;
    let summary = state.verify();
    if let Some((level, index)) = summary.damaged.first() {
        let what =
            if *level == 0 { format!("page {index}") } else { format!("node {index} of level {level}") };
        let cause = format!("{}: {what} is damaged, and {} in all", data.display(), summary.damaged.len());
        let cure = "move the file `state` away and start the replica: it fetches the state from the others; \
                    check the disk";
        return Err(Failure::new(cause, cure));
    }
    Ok((state, summary))
}

fn diff(one: &Path, other: &Path) -> Result<(), Failure> {
    let ((one_state, one_summary), (other_state, other_summary)) = (verified(one)?, verified(other)?);
    println!("{} {}", one.display(), line(&one_summary));
    println!("{} {}", other.display(), line(&other_summary));
    if one_summary.seq != other_summary.seq {
        let cause = "the two were saved at different seqs, so they may differ and be right";
        return Err(Failure::new(cause, "stop both when the group is idle, after a checkpoint"));
    }
    match one_state.first_difference(&other_state) {
        None => {
            println!("equal");
            Ok(())
        }
        Some(page) => {
            let cause = format!("they differ, first in page {page}");
            Err(Failure::new(cause, "compare both with a third: the service may not be deterministic"))
        }
    }
}

fn line(summary: &StateSummary) -> String {
    let seq = summary.seq.map_or_else(|| "none".to_owned(), |seq| seq.to_string());
    format!("seq {seq} root {} pages {}", to_hex(&summary.root.0), summary.pages)
}

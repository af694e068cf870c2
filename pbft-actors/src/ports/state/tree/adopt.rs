use std::sync::Arc;

use super::node::{Below, Node};

/// Puts, wherever `live` still has a part of `before`, the same part of `after` in its place. Both are
/// one content; `after` is the one that lies in a store. Costs what differs between the two.
pub(in crate::ports::state) fn adopt(live: &mut Arc<Node>, before: &Arc<Node>, after: &Arc<Node>) {
    if Arc::ptr_eq(live, before) {
        *live = after.clone();
        return;
    }
    if Arc::ptr_eq(before, after) || Arc::ptr_eq(live, after) || live.loaded().is_none() {
        return;
    }
    let (Some(of_before), Some(of_after)) = (before.loaded(), after.loaded()) else { return };
    match (Arc::make_mut(live).same_below_mut(), of_before, of_after) {
        (Some(Below::Pages(live)), Below::Pages(before), Below::Pages(after)) => {
            for (slot, after) in after.iter_from(0) {
                if let (Some(live), Some(before)) = (live.get_mut(slot), before.get(slot))
                    && Arc::ptr_eq(live, before)
                {
                    *live = after.clone();
                }
            }
        }
        (Some(Below::Nodes(live)), Below::Nodes(before), Below::Nodes(after)) => {
            for (slot, after) in after.iter_from(0) {
                if let (Some(live), Some(before)) = (live.get_mut(slot), before.get(slot)) {
                    adopt(live, before, after);
                }
            }
        }
        _ => {}
    }
}

//! Where this replica was when it stopped, and what it knows of others who stopped (PROTOCOL 11).

use super::*;
use crate::role::{Recalled, Whereabouts};

impl ViewChanger {
    /// Goes on in the view that was entered last, or towards the one that was asked for since.
    pub(super) fn on_start(&mut self, now: Now, whereabouts: Whereabouts, out: &mut Outbox<ViewTimer>) {
        let Whereabouts { asked, entered } = whereabouts;
        let listed = asked.iter().filter_map(|(_, vote)| vote.as_ref());
        self.signed_only.extend(listed.flat_map(|vote| vote.message.signed_only.iter().copied()));
        let left = asked.as_ref().map_or(View(0), |(view, _)| *view);
        let (last, proven) = entered.unwrap_or_default();
        if let Some(proven) = proven.filter(|_| last >= left) {
            let NewView { checkpoint, chosen, .. } = proven.new_view.message.clone();
            self.install(now, proven, Decision { checkpoint, chosen }, out);
            return;
        }
        let own = asked.and_then(|(_, vote)| vote);
        // Two VIEW-CHANGEs for one view look like a lie: where the disk lost the first, the view after it
        // is asked for, which counts for those that wait in the lower one.
        let lost = left > last && own.is_none();
        let view = if lost { left.next() } else { last.max(left) };
        if view > self.view {
            self.start_change(view, out);
            // What may have been signed for this view is not signed again.
            (self.asked, self.started) = (!lost, last == view);
            self.latest.extend(own.filter(|vote| vote.message.view == view).map(|vote| (vote.sender, vote)));
        }
    }

    /// Adds the VIEW-CHANGE of the replica that asks.
    pub(super) fn on_recall(&self, mut recalled: Recalled, out: &mut Outbox<ViewTimer>) {
        let entered = self.new_view.iter().flat_map(|proven| &proven.view_changes);
        let of_peer = entered.chain(self.latest.values()).filter(|vote| vote.sender == recalled.peer);
        let latest = of_peer.max_by_key(|vote| vote.message.view);
        recalled.view_change = latest.map(|vote| vote.wire().clone());
        out.tell(CheckpointerInput::Recall(recalled));
    }
}

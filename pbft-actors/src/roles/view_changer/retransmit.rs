//! Who lacks what of a view change, as its STATUS says, gets it: a lost VIEW-CHANGE or NEW-VIEW
//! must not leave a replica outside for ever.

use super::*;

impl ViewChanger {
    pub(super) fn on_status(&mut self, now: Now, status: &Verified<Status>, out: &mut Outbox<ViewTimer>) {
        let crate::message::Peer::Replica(peer) = status.from() else { return };
        let behind = status.view < self.view || (status.view == self.view && status.changing);
        if !behind || !self.answered.admits(peer, now.monotonic, self.tuning.status_interval) {
            return;
        }
        match (&self.phase, &self.new_view) {
            (Phase::Active, Some(new_view)) => {
                out.send(To::Replica(peer), Message::NewView(new_view.new_view.clone()));
            }
            // View 0 starts without a NEW-VIEW.
            (Phase::Active, None) => {}
            (Phase::Changing, _) => {
                let held = if status.view == self.view { status.view_changes } else { ReplicaSet::EMPTY };
                let lacking = self.votes().filter(|vote| !held.contains(vote.sender) && vote.sender != peer);
                for vote in lacking {
                    out.send(To::Replica(peer), Message::ViewChange(vote.clone()));
                }
            }
        }
    }
}

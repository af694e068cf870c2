//! Parts of the own state that the disk lost are fetched from the others like any that differ
//! (PROTOCOL 8). Their digests are known and still those of the group: what is lost is removed first.

use super::*;

impl Checkpointer {
    /// Somebody met parts that are not what was written.
    pub(super) fn on_damaged(&mut self, now: Now, parts: &[DamagedPart], out: &mut Outbox<CheckpointTimer>) {
        let known = self.damaged.len();
        self.damaged.extend(parts.iter().map(|part| (part.level, part.index)));
        let installing = self.transfer.as_ref().is_some_and(|transfer| transfer.installing());
        if self.damaged.len() == known && !installing {
            return;
        }
        out.tell(ExecutorInput::Damaged);
        // Older checkpoints that peers fetch may be built of the same parts.
        self.server.forget();
        // What was being fetched may be built on them as well: it begins again without them.
        if self.transfer.take().is_some() {
            self.tell_transferring(false, out);
        }
        if let Some(first) = self.damaged.first() {
            out.event(Event::Damaged { parts: self.damaged.len(), first: *first });
        }
        self.try_repair(now, out);
    }

    /// Goes back to the stable checkpoint, of which every correct replica knows the digest.
    pub(super) fn try_repair(&mut self, now: Now, out: &mut Outbox<CheckpointTimer>) {
        if self.damaged.is_empty() || self.transfer.is_some() {
            return;
        }
        let latest = self.ahead.as_ref().or(self.certificate.as_ref());
        if let Some(target) = latest.map(|certificate| certificate.checkpoint) {
            self.start_transfer(now, target, self.others(), out);
        }
    }
}

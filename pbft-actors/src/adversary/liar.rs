use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::*;
use crate::message::{
    BatchData, Checkpoint, Kind, NodeData, Outcome, PageData, PrePrepared, ReplyResult, ViewChange, Vote,
};
use crate::types::{LogId, Seq};

/// What a liar lies about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Lie {
    /// PREPARE and COMMIT for a digest that nobody proposed.
    Votes,
    /// Besides its votes the same ones in the views before and after, and far beyond the window.
    Places,
    /// DECIDED null wherever it votes for something.
    Decided,
    /// Results to clients.
    Replies,
    /// The digest of its state.
    Checkpoints,
    /// Pages that are not those of the checkpoint.
    Pages,
    /// Nodes that are not those of the checkpoint.
    Nodes,
    /// Of the pages and nodes that are asked for one less.
    Less,
    /// That it dropped every checkpoint.
    Gone,
    /// Bodies that nobody asked for, and none of those that somebody did.
    Bodies,
    /// Where it stands.
    Status,
    /// Which logs it knows.
    Logs,
    /// P and Qs: nothing was ever prepared.
    Forgets,
    /// P and Qs: in the latest view something prepared that nobody proposed.
    Invents,
    /// C: checkpoints that are none.
    ViewCheckpoints,
}

impl Lie {
    /// Every lie.
    pub(crate) const ALL: [Self; 15] = [
        Self::Votes,
        Self::Places,
        Self::Decided,
        Self::Replies,
        Self::Checkpoints,
        Self::Pages,
        Self::Nodes,
        Self::Less,
        Self::Gone,
        Self::Bodies,
        Self::Status,
        Self::Logs,
        Self::Forgets,
        Self::Invents,
        Self::ViewCheckpoints,
    ];
}

/// Says what is not.
pub(crate) struct Liar(pub(crate) Vec<Lie>);

impl Liar {
    fn lies(&self, lie: Lie) -> bool {
        self.0.contains(&lie)
    }

    fn view_change(&self, mut message: ViewChange) -> ViewChange {
        if self.lies(Lie::Forgets) {
            message.prepared.clear();
            message.pre_prepared.clear();
        }
        if let (true, Some(view)) = (self.lies(Lie::Invents), message.view.0.checked_sub(1)) {
            let (view, digest) = (crate::types::View(view), garbage());
            message.prepared.iter_mut().for_each(|p| (p.view, p.digest) = (view, digest));
            let invented = message.prepared.iter().map(|p| PrePrepared { seq: p.seq, digest, view });
            message.pre_prepared = invented.collect();
        }
        if self.lies(Lie::ViewCheckpoints) {
            for checkpoint in &mut message.checkpoints {
                checkpoint.digest = garbage();
            }
        }
        message
    }
}

/// The same vote where it does not belong.
fn misplaced(to: To, message: &Message) -> Vec<(To, Message)> {
    let (vote, again): (Vote, fn(Vote) -> Message) = match message {
        Message::Prepare(vote) => (*vote, Message::Prepare),
        Message::Commit(vote) => (*vote, Message::Commit),
        _ => return Vec::new(),
    };
    let after = Vote { view: vote.view.next(), ..vote };
    let before = Vote { view: crate::types::View(vote.view.0.saturating_sub(1)), ..vote };
    let beyond = Vote { seq: vote.seq.plus(10_000), ..vote };
    [after, before, beyond].map(|vote| (to, again(vote))).into()
}

impl Adversary for Liar {
    fn on_send(&mut self, to: To, message: Message, signer: &Signer) -> Vec<(To, Message)> {
        let decides = self.lies(Lie::Decided);
        let false_decision = |vote: &Vote| {
            let vote = Vote { digest: crate::message::Batch::null_digest(), ..*vote };
            decides.then_some((To::Others, Message::Decided(vote)))
        };
        let misplaced = if self.lies(Lie::Places) { misplaced(to, &message) } else { Vec::new() };
        let mut more = None;
        let message = match message {
            Message::Prepare(vote) | Message::Commit(vote) | Message::Decided(vote)
                if message.kind() == Kind::Decided || self.lies(Lie::Votes) || decides =>
            {
                more = false_decision(&vote);
                let lie = match message.kind() {
                    Kind::Decided => decides,
                    _ => self.lies(Lie::Votes),
                };
                let vote = if lie { Vote { digest: garbage(), ..vote } } else { vote };
                match message.kind() {
                    Kind::Prepare => Message::Prepare(vote),
                    Kind::Commit => Message::Commit(vote),
                    _ => Message::Decided(vote),
                }
            }
            Message::Reply(mut reply) if self.lies(Lie::Replies) => {
                reply.result = ReplyResult::Full(Outcome::Done(Bytes::from_static(b"a lie")));
                Message::Reply(reply)
            }
            Message::Checkpoint(vote) if self.lies(Lie::Checkpoints) => {
                let lie = Checkpoint { seq: vote.message.seq, digest: garbage() };
                Message::Checkpoint(signer.sign(Kind::Checkpoint, lie))
            }
            Message::PageData(PageData { pages: Some(mut pages), seq, ticket }) if self.lies(Lie::Pages) => {
                let page = Bytes::from_static(&[7; crate::ports::state::PAGE_BYTES]);
                pages.iter_mut().for_each(|(_, content)| *content = page.clone());
                Message::PageData(PageData { pages: Some(pages), seq, ticket })
            }
            Message::PageData(PageData { pages: Some(mut pages), seq, ticket }) if self.lies(Lie::Less) => {
                pages.pop();
                Message::PageData(PageData { pages: Some(pages), seq, ticket })
            }
            Message::NodeData(NodeData { nodes: Some(mut nodes), seq, ticket })
                if self.lies(Lie::Nodes) || self.lies(Lie::Less) =>
            {
                for node in &mut nodes {
                    if self.lies(Lie::Nodes) {
                        node.children.iter_mut().for_each(|(_, digest)| *digest = garbage());
                    } else {
                        node.children.pop();
                    }
                }
                Message::NodeData(NodeData { nodes: Some(nodes), seq, ticket })
            }
            // Says that it has dropped whatever it is asked for.
            Message::NodeData(data) if self.lies(Lie::Gone) => {
                Message::NodeData(NodeData { nodes: None, ..data })
            }
            Message::PageData(data) if self.lies(Lie::Gone) => {
                Message::PageData(PageData { pages: None, ..data })
            }
            Message::BatchData(data) if self.lies(Lie::Bodies) => Message::BatchData(BatchData {
                batch: std::sync::Arc::new(crate::message::Batch::null()),
                ..data
            }),
            Message::Status(mut status) if self.lies(Lie::Status) => {
                status.executed = Seq::ZERO;
                status.stable = Seq::ZERO;
                status.first_held = Seq(u64::MAX >> 1);
                Message::Status(status)
            }
            Message::Recollection(mut answer) if self.lies(Lie::Logs) => {
                answer.known.fill(LogId { number: u64::MAX, salt: 7 });
                answer.certificate.clear();
                Message::Recollection(answer)
            }
            Message::ViewChange(vote)
                if vote.sender == signer.sender
                    && [Lie::Forgets, Lie::Invents, Lie::ViewCheckpoints]
                        .iter()
                        .any(|lie| self.lies(*lie)) =>
            {
                let lie = self.view_change(vote.message);
                Message::ViewChange(signer.sign(Kind::ViewChange, lie))
            }
            other => other,
        };
        std::iter::once((to, message)).chain(more).chain(misplaced).collect()
    }
}

//! A message-sequence chart of a run, for people: who told whom what, who did what, what went wrong.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use super::plan::Micros;
use super::run::Failure;
use crate::message::{Entry, Fetch, Kind, Opened, Peer, Reject, Vote};
use crate::types::Quorums;

/// Lines kept from the start of a run, and as many from its end.
const HALF_LINES_MAX: usize = 300;

/// The messages and deeds of one run, in order.
///
/// STATUS is left out, and so is what was said before in the same words. Of a long run the start and
/// the end are kept.
#[derive(Clone, Debug)]
pub struct Chart {
    quorums: Quorums,
    clients: u64,
    head: Vec<Line>,
    tail: VecDeque<Line>,
    left_out: u64,
    said: BTreeSet<(Peer, Peer, String)>,
}

#[derive(Clone, Debug)]
struct Line {
    at: Micros,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Message {
        from: Peer,
        to: Peer,
        label: String,
    },
    /// By one, or to all.
    Note(Option<Peer>, String),
}

impl Chart {
    pub(super) fn new(quorums: Quorums, clients: u64) -> Self {
        let (head, tail, said) = (Vec::new(), VecDeque::new(), BTreeSet::new());
        Self { quorums, clients, head, tail, left_out: 0, said }
    }

    pub(super) fn on_message(
        &mut self,
        at: Micros,
        from: Peer,
        to: Peer,
        kind: Kind,
        opened: Result<&Opened, &Reject>,
    ) {
        let label = match opened {
            Ok(Opened::Status(_)) => return,
            Ok(opened) => format!("{} {}", name(kind), content(opened)).trim_end().to_owned(),
            Err(reject) => format!("{} refused: {reject}", name(kind)),
        };
        if self.said.insert((from, to, label.clone())) {
            self.add(at, What::Message { from, to, label });
        }
    }

    pub(super) fn on_note(&mut self, at: Micros, who: Option<Peer>, what: String) {
        self.add(at, What::Note(who, what));
    }

    pub(super) fn on_failure(&mut self, failure: &Failure) {
        let at = self.tail.back().or(self.head.last()).map_or(0, |line| line.at);
        self.add(at, What::Note(None, failure.to_string()));
    }

    fn add(&mut self, at: Micros, what: What) {
        if self.head.len() < HALF_LINES_MAX {
            self.head.push(Line { at, what });
            return;
        }
        self.tail.push_back(Line { at, what });
        if self.tail.len() > HALF_LINES_MAX {
            self.tail.pop_front();
            self.left_out += 1;
        }
    }

    /// One line per message or deed, with its virtual time.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in self.lines() {
            let at = line.at as f64 / 1e3;
            let (who, what) = match &line.what {
                What::Message { from, to, label } => (format!("{} -> {}", short(*from), short(*to)), label),
                What::Note(Some(peer), what) => (short(*peer), what),
                What::Note(None, what) => ("*".to_owned(), what),
            };
            writeln!(text, "{at:>12.3} ms  {who:<9}  {what}").expect("a string takes all");
        }
        text
    }

    /// The same as a Mermaid sequence diagram.
    pub fn mermaid(&self) -> String {
        let replicas = self.quorums.replicas().map(Peer::Replica);
        let clients = (0..self.clients as u32).map(|id| Peer::Client(crate::types::ClientId(id)));
        let everyone: Vec<String> = clients.chain(replicas).map(short).collect();
        let mut text = "sequenceDiagram\n".to_owned();
        for peer in &everyone {
            writeln!(text, "    participant {peer}").expect("a string takes all");
        }
        let ends = format!("{},{}", everyone[0], everyone[everyone.len() - 1]);
        for line in self.lines() {
            let line = match &line.what {
                What::Message { from, to, label } => {
                    format!("{}->>{}: {}", short(*from), short(*to), plain(label))
                }
                What::Note(Some(peer), what) => format!("Note over {}: {}", short(*peer), plain(what)),
                What::Note(None, what) => format!("Note over {ends}: {}", plain(what)),
            };
            writeln!(text, "    {line}").expect("a string takes all");
        }
        text
    }

    fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        let gap = self.tail.front().filter(|_| self.left_out > 0).map(|line| Line {
            at: line.at,
            what: What::Note(None, format!("{} lines left out before this", self.left_out)),
        });
        self.head.iter().cloned().chain(gap).chain(self.tail.iter().cloned())
    }
}

/// The word for a kind in the papers.
fn name(kind: Kind) -> String {
    kind.name().to_uppercase().replace('_', "-")
}

fn short(peer: Peer) -> String {
    match peer {
        Peer::Replica(id) => format!("r{id}"),
        Peer::Client(id) => format!("c{}", id.0),
    }
}

/// Without what ends a statement of Mermaid.
fn plain(text: &str) -> String {
    text.replace([';', '#', '\n'], ",")
}

fn content(opened: &Opened) -> String {
    match opened {
        Opened::Request(request) => format!("{} {}", request.id(), request.digest()),
        Opened::Requests(requests, _) => each(requests, |request| request.id().to_string()),
        Opened::NeedSignature(need) => need.digest.to_string(),
        Opened::PrePrepare(message) => {
            let requests: Vec<String> =
                message.entries.iter().map(Entry::digest).map(|digest| digest.to_string()).collect();
            format!("{}/{} {} [{}]", message.view, message.seq, message.digest(), requests.join(" "))
        }
        Opened::Prepare(vote) | Opened::Commit(vote) | Opened::Decided(vote) => place(vote),
        Opened::Reply(reply) => format!("{} at {}", reply.request, reply.seq),
        Opened::Replies(replies) => each(replies, |reply| format!("{} at {}", reply.request, reply.seq)),
        Opened::Busy(busy) => busy.request.to_string(),
        Opened::Checkpoint(signed) => format!("{} {}", signed.message.seq, signed.message.digest),
        Opened::Certificate(held) => format!("{} {}", held.checkpoint.seq, held.checkpoint.digest),
        Opened::ViewChange(signed) => {
            let message = &signed.message;
            let prepared: Vec<String> =
                message.prepared.iter().map(|p| format!("{}/{} {}", p.view, p.seq, p.digest)).collect();
            format!("{} of r{} h={} P=[{}]", message.view, signed.sender, message.stable, prepared.join(" "))
        }
        Opened::NewView(proven) => {
            let message = &proven.new_view.message;
            let chosen: Vec<String> =
                message.chosen.iter().map(|(seq, digest)| format!("{seq} {digest}")).collect();
            let (view, from) = (message.view, message.checkpoint.seq);
            format!("{view} from {from} X=[{}]", chosen.join(" "))
        }
        Opened::Fetch(fetch) => match &**fetch {
            Fetch::Batch { seq, digest } => format!("batch {seq} {digest}"),
            Fetch::Nodes { seq, nodes, .. } => format!("{} nodes of {seq}", nodes.len()),
            Fetch::Pages { seq, pages, .. } => format!("{} pages of {seq}", pages.len()),
        },
        Opened::BatchData(data) => format!("{} {}", data.seq, data.batch.digest()),
        Opened::NodeData(data) => format!("of {}", data.seq),
        Opened::PageData(data) => format!("of {}", data.seq),
        Opened::Status(_) | Opened::Recall(_) | Opened::Recollection(_) => String::new(),
    }
}

fn each<M>(messages: &[M], text: impl Fn(&M) -> String) -> String {
    messages.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn place(vote: &Vote) -> String {
    format!("{}/{} {}", vote.view, vote.seq, vote.digest)
}

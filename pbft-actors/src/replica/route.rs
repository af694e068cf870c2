//! From an opened message to the mail of whoever it concerns.

use crate::message::{Fetch, Opened, Peer, Request, Verified};
use crate::role::{BatcherInput, CheckpointerInput, ExecutorInput, Mail, OrdererInput, ViewChangerInput};

/// The messages of one socket read on their way to the roles: all requests travel in one mail.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    requests: Vec<Verified<Request>>,
    mail: Vec<Mail>,
}

impl Inbound {
    /// The mail, in the order in which the messages came; requests last.
    pub(crate) fn into_mail(self) -> Vec<Mail> {
        let Self { requests, mut mail } = self;
        if !requests.is_empty() {
            mail.push(ExecutorInput::Requests(requests).into());
        }
        mail
    }
}

/// Adds a message to the mail of one socket read.
pub(crate) fn route(opened: Opened, inbound: &mut Inbound) {
    let mail = &mut inbound.mail;
    match opened {
        Opened::Request(request) => inbound.requests.push(request),
        Opened::Requests(requests, _) => inbound.requests.extend(requests),
        Opened::NeedSignature(need) => mail.push(BatcherInput::NeedSignature(need).into()),
        Opened::PrePrepare(message) => mail.push(OrdererInput::PrePrepare(message).into()),
        Opened::Prepare(vote) => mail.push(OrdererInput::Prepare(vote).into()),
        Opened::Commit(vote) => mail.push(OrdererInput::Commit(vote).into()),
        Opened::Decided(vote) => mail.push(OrdererInput::Decided(vote).into()),
        Opened::Checkpoint(vote) => mail.push(CheckpointerInput::Checkpoint(vote).into()),
        Opened::Certificate(certificate) => mail.push(CheckpointerInput::Certificate(certificate).into()),
        Opened::ViewChange(vote) => mail.push(ViewChangerInput::ViewChange(vote).into()),
        Opened::NewView(proven) => mail.push(ViewChangerInput::NewView(proven).into()),
        Opened::Status(status) => {
            mail.push(OrdererInput::Status(status.clone()).into());
            mail.push(CheckpointerInput::Status(status.clone()).into());
            mail.push(ViewChangerInput::Status(status).into());
        }
        Opened::Fetch(fetch) => match *fetch {
            Fetch::Batch { .. } => mail.push(OrdererInput::Fetch(fetch).into()),
            Fetch::Nodes { .. } | Fetch::Pages { .. } => mail.push(CheckpointerInput::Fetch(fetch).into()),
        },
        Opened::BatchData(data) => mail.push(OrdererInput::BatchData(data).into()),
        Opened::NodeData(data) => mail.push(CheckpointerInput::NodeData(data).into()),
        Opened::PageData(data) => mail.push(CheckpointerInput::PageData(data).into()),
        Opened::Recall(recall) => {
            if let Peer::Replica(peer) = recall.from() {
                mail.push(OrdererInput::Recall(peer, *recall).into());
            }
        }
        Opened::Recollection(answer) => mail.push(CheckpointerInput::Recollection(Box::new(answer)).into()),
        // Only clients get these, and the opener refuses them here.
        Opened::Reply(_) | Opened::Replies(_) | Opened::Busy(_) => {}
    }
}

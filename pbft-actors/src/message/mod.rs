//! What replicas and clients say to each other, and how each message is proven (PROTOCOL 2 and 3).

mod batch;
mod bundle;
mod checkpoint;
mod cover;
mod frame;
mod handshake;
mod keyring;
mod kind;
mod limits;
mod opener;
mod peer;
mod recall;
mod reply;
mod request;
mod signed;
mod status;
mod transfer;
mod verified;
mod view_change;
mod vote;

pub use batch::{Batch, Choice, Entry, PrePrepare};
pub(crate) use bundle::{encode_replies, encode_requests, go_together, reply_bytes};
pub use checkpoint::{Certificate, Checkpoint};
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use frame::tag_of;
pub use frame::{FRAME_OVERHEAD_BYTES, Frame, FrameError, HEADER_BYTES, LinkKeys, Payload};
pub use handshake::{
    Difference, Differences, Established, Failure, Fresh, HANDSHAKE_BYTES_MAX, HandshakeError, Initiator,
    Introduction, IntroductionError, Responder, VersionRange,
};
pub use keyring::{Binding, CLIENTS_WITH_KEYS_MAX, ClusterId, Keyring, RequestKeys};
pub use kind::Kind;
pub use limits::*;
pub use opener::{Opened, Opener, ProvenNewView, ProvenRecollection, Reject};
pub(crate) use opener::{encode_batch_data, encode_certificate, encode_pre_prepare};
pub use peer::Peer;
pub use recall::{Recall, Recollection, VoteKind};
pub use reply::{Busy, Outcome, Refusal, Reply, ReplyResult};
pub use request::{Hints, NeedSignature, Operation, Proof, ProofState, RejoinOperation, Request};
pub use signed::{Signed, Signer};
pub use status::{SeqBitmap, Status};
pub use transfer::{BatchData, Fetch, NodeData, PageData, TreeNode};
pub use verified::Verified;
pub use view_change::{NewView, PrePrepared, Prepared, ViewChange};
pub use vote::Vote;

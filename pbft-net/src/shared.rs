use std::sync::Arc;

use pbft_actors::actor::transport::Gate;
use pbft_actors::message::Introduction;

use crate::TcpLimits;
use crate::admission::Admission;
use crate::links::Links;

/// What every task of one transport uses.
pub(crate) struct Shared {
    pub(crate) introduction: Introduction,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) limits: TcpLimits,
    pub(crate) links: Arc<Links>,
    pub(crate) admission: Admission,
}

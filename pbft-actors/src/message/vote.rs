use serde::{Deserialize, Serialize};

use crate::crypto::Digest;
use crate::types::{Seq, View};

/// The body of PREPARE, COMMIT and DECIDED.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Vote {
    /// The view voted in. Of no meaning in DECIDED, which holds in every view.
    pub view: View,
    /// The batch's place.
    pub seq: Seq,
    /// The batch.
    pub digest: Digest,
}

//! Named limits of what a message may hold (PROTOCOL 12). What exceeds one is rejected and counted.

/// Largest body of a frame, bytes.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// Largest operation of a request, bytes.
pub const OPERATION_BYTES_MAX: usize = 1 << 20;
/// Most requests in one batch.
pub const BATCH_REQUESTS_MAX: usize = 4_096;
/// Largest total of encoded requests in one batch, bytes; one request of full size always fits.
pub const BATCH_BYTES_MAX: usize = 2 << 20;
/// Most requests or replies in one frame.
pub const BUNDLE_MESSAGES_MAX: usize = 4_096;
/// About how long a frame of several requests or replies may become, bytes, but for a single larger one.
pub const BUNDLE_BYTES_MAX: usize = 256 << 10;
/// Largest service-specific part of a choice, bytes.
pub const CHOICE_EXTRA_BYTES_MAX: usize = 64 << 10;
/// Largest window L that any configuration may ask for; bounds bitmaps, P and Qs.
pub const WINDOW_MAX: u64 = 4_096;
/// Most digests that Qs may name at one seq: each replica accepts 4 freshly proposed ones, and a
/// NEW-VIEW chooses only null or what some correct replica accepted so (PROTOCOL 7.2).
pub const DIGESTS_PER_SEQ_MAX: usize = FRESH_DIGESTS_PER_SEQ_MAX * crate::types::REPLICAS_MAX + 1;
/// Freshly proposed digests accepted at one seq (PROTOCOL 7.2).
pub const FRESH_DIGESTS_PER_SEQ_MAX: usize = 4;
/// Most clients that a VIEW-CHANGE lists as having to sign.
pub const SIGNED_ONLY_MAX: usize = 1_024;
/// Pages in one DATA message: 256 KiB.
pub const PAGES_PER_DATA_MAX: usize = 64;
/// Nodes in one META-DATA message: some 600 KiB if each has all its children.
pub const NODES_PER_DATA_MAX: usize = 64;
/// Children of one node of the tree over the pages.
pub const NODE_CHILDREN_MAX: usize = 256;
/// Longest text in a refusal, bytes.
pub const REFUSAL_DETAIL_BYTES_MAX: usize = 1_024;
/// Largest encoded VIEW-CHANGE, bytes.
pub const VIEW_CHANGE_BYTES_MAX: usize = 1 << 20;

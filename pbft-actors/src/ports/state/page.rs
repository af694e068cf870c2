use std::sync::OnceLock;

use super::tree::page_digest;
use crate::crypto::Digest;

/// Length of a page in bytes.
pub const PAGE_BYTES: usize = 4096;

/// The content of a page.
pub(crate) type Page = [u8; PAGE_BYTES];

/// What a page that was never written reads as.
pub(super) static ZERO_PAGE: Page = [0; PAGE_BYTES];

/// A page in memory, with its digest once somebody asked for it. Shared frames are never changed: a
/// writer takes a copy. A frame stays at one page index, which its digest covers.
pub(super) struct Frame {
    bytes: Page,
    /// None inside: all zero, which is the same as no page.
    digest: OnceLock<Option<Digest>>,
}

impl Frame {
    pub(super) fn new(bytes: Page) -> Self {
        Self { bytes, digest: OnceLock::new() }
    }

    pub(super) fn bytes(&self) -> &Page {
        &self.bytes
    }

    /// The content, to be changed: forgets the digest.
    pub(super) fn bytes_mut(&mut self) -> &mut Page {
        self.digest = OnceLock::new();
        &mut self.bytes
    }

    pub(super) fn is_zero(&self) -> bool {
        self.bytes == ZERO_PAGE
    }

    /// The digest of index and content; None for a page that is all zero.
    pub(super) fn digest(&self, index: u64) -> Option<Digest> {
        *self.digest.get_or_init(|| page_digest(index, &self.bytes))
    }

    #[cfg(test)]
    pub(super) fn is_digested(&self) -> bool {
        self.digest.get().is_some()
    }
}

/// A copy is about to be changed, so it carries no digest.
impl Clone for Frame {
    fn clone(&self) -> Self {
        Self::new(self.bytes)
    }
}

/// Why a read inside a page succeeds: pages come from this code or were checked by digest, so
/// a failure is a bug or broken memory, and stops the operation.
const INSIDE: &str = "a node's offsets stay inside its page: this code wrote it, or a digest vouched for it";

/// `count` bytes of `bytes` from `at`.
pub(super) fn bytes_at(bytes: &[u8], at: usize, count: usize) -> &[u8] {
    bytes.get(at..).and_then(|rest| rest.get(..count)).expect(INSIDE)
}

/// `N` bytes of `bytes` from `at`.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().expect(INSIDE)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// Replaces the bytes of `page` from `at`.
pub(super) fn put_at(page: &mut Page, at: usize, bytes: &[u8]) {
    page.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len())).expect(INSIDE).copy_from_slice(bytes);
}

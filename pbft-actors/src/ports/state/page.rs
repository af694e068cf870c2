/// Length of a page in bytes.
pub const PAGE_BYTES: usize = 4096;

/// The content of a page.
pub(crate) type Page = [u8; PAGE_BYTES];

/// What a page that was never written reads as.
pub(super) static ZERO_PAGE: Page = [0; PAGE_BYTES];

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

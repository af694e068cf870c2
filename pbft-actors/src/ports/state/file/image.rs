//! Slots as no save wrote them, with every checksum right: what only a fuzzer makes.

use super::header::Header;
use super::{record, space};
use crate::ports::state::page::{PAGE_BYTES, Page};

/// Puts the checksums of a changed file right, slot by slot; what is no root record, map or record of a
/// node is a page, and has none.
pub(crate) fn reseal(bytes: &mut [u8]) {
    for (slot, content) in (0..).zip(bytes.chunks_exact_mut(PAGE_BYTES)) {
        let page: &mut Page = content.try_into().expect("whole pages");
        if slot < space::FIRST_SLOT {
            Header::seal(page);
        } else if let Some(number) = space::map_of(slot) {
            space::seal(page, number);
        } else if record::looks_like_one(page) {
            record::seal(page);
        }
    }
}

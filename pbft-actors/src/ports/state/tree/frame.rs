use std::sync::{Arc, OnceLock};

use super::stored::{DamagedPart, Stored};
use super::{PAGE_LEVEL, page_digest};
use crate::crypto::Digest;
use crate::ports::state::heap::{HeapCount, HeapPage};
use crate::ports::state::page::{Page, ZERO_PAGE};

/// A page, with its digest once somebody asked for it: in memory of its own, in a page file, or both.
/// Shared frames are never changed: a writer takes a copy. A frame stays at one page index, which its
/// digest covers.
pub(in crate::ports::state) struct Frame {
    index: u64,
    heap: OnceLock<HeapPage>,
    /// None inside: all zero, which is the same as no page.
    digest: OnceLock<Option<Digest>>,
    stored: OnceLock<Arc<Stored>>,
    /// Set once the mapped content was compared with the digest.
    checked: OnceLock<()>,
}

impl Frame {
    pub(in crate::ports::state) fn new(index: u64, heap: HeapPage) -> Self {
        Self {
            index,
            heap: heap.into(),
            digest: OnceLock::new(),
            stored: OnceLock::new(),
            checked: OnceLock::new(),
        }
    }

    /// A page whose digest the caller computed.
    pub(in crate::ports::state) fn digested(index: u64, heap: HeapPage, digest: Digest) -> Self {
        Self { digest: Some(digest).into(), ..Self::new(index, heap) }
    }

    pub(in crate::ports::state) fn zero(index: u64, count: &HeapCount) -> Self {
        Self::new(index, HeapPage::of(&ZERO_PAGE, count))
    }

    /// A page that lies in a store and is read on access.
    pub(in crate::ports::state) fn of_stored(index: u64, digest: Digest, stored: Arc<Stored>) -> Self {
        Self {
            index,
            heap: OnceLock::new(),
            digest: Some(digest).into(),
            stored: stored.into(),
            checked: OnceLock::new(),
        }
    }

    /// The same for a page that was just written there, whose content is therefore known.
    pub(in crate::ports::state) fn of_written(index: u64, digest: Digest, stored: Arc<Stored>) -> Self {
        Self { checked: OnceLock::from(()), ..Self::of_stored(index, digest, stored) }
    }

    pub(in crate::ports::state) fn index(&self) -> u64 {
        self.index
    }

    /// The content. Panics with [`DamagedPart`] if it is not what was stored.
    pub(in crate::ports::state) fn bytes(&self) -> &Page {
        self.try_bytes().unwrap_or_else(|damaged| damaged.give_up())
    }

    pub(in crate::ports::state) fn try_bytes(&self) -> Result<&Page, DamagedPart> {
        if let Some(heap) = self.heap.get() {
            return Ok(heap);
        }
        let stored = self.stored.get().expect("a frame without content of its own is stored");
        if let Some(page) = stored.store().mapped(stored.slot()) {
            if self.checked.get().is_none() {
                self.check(page)?;
                self.checked.get_or_init(|| ());
            }
            return Ok(page);
        }
        let page = self.reread(stored)?;
        Ok(self.heap.get_or_init(|| page))
    }

    /// The content as it is on the disk now.
    fn reread(&self, stored: &Stored) -> Result<HeapPage, DamagedPart> {
        let page = stored.store().read_page(stored.slot()).map_err(|_| self.damaged())?;
        self.check(&page)?;
        Ok(page)
    }

    /// Compares what is stored with the digest; what is only in memory is as it should be.
    pub(in crate::ports::state) fn scrub(&self) -> Result<(), DamagedPart> {
        self.stored.get().map_or(Ok(()), |stored| self.reread(stored).map(drop))
    }

    fn check(&self, page: &Page) -> Result<(), DamagedPart> {
        let known = self.digest.get().expect("a stored frame has its digest");
        if page_digest(self.index, page) == *known { Ok(()) } else { Err(self.damaged()) }
    }

    fn damaged(&self) -> DamagedPart {
        DamagedPart { level: PAGE_LEVEL, index: self.index }
    }

    /// The content, to be changed: forgets the digest, and where it was stored.
    pub(in crate::ports::state) fn bytes_mut(&mut self, count: &HeapCount) -> &mut Page {
        if self.heap.get().is_none() {
            self.heap = HeapPage::of(self.bytes(), count).into();
        }
        self.forget();
        self.heap.get_mut().expect("put there if it was not")
    }

    /// Zeros in place of the content, to be changed.
    pub(in crate::ports::state) fn blank(&mut self, count: &HeapCount) -> &mut Page {
        match self.heap.get_mut() {
            Some(heap) => heap.fill(0),
            None => self.heap = HeapPage::of(&ZERO_PAGE, count).into(),
        }
        self.forget();
        self.heap.get_mut().expect("put there if it was not")
    }

    fn forget(&mut self) {
        (self.digest, self.stored, self.checked) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
    }

    pub(in crate::ports::state) fn is_zero(&self) -> bool {
        match self.digest.get() {
            Some(digest) => digest.is_none(),
            None => *self.bytes() == ZERO_PAGE,
        }
    }

    /// The digest of index and content; None for a page that is all zero.
    pub(in crate::ports::state) fn digest(&self) -> Option<Digest> {
        *self.digest.get_or_init(|| page_digest(self.index, self.bytes()))
    }

    pub(in crate::ports::state) fn stored(&self) -> Option<&Arc<Stored>> {
        self.stored.get()
    }

    /// Remembers where it was stored; a frame that is stored elsewhere stays so.
    pub(in crate::ports::state) fn set_stored(&self, stored: &Arc<Stored>) {
        self.stored.get_or_init(|| stored.clone());
    }

    #[cfg(test)]
    pub(in crate::ports::state) fn is_digested(&self) -> bool {
        self.digest.get().is_some()
    }
}

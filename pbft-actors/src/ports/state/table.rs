use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::page::{Frame, Page, ZERO_PAGE};

/// Pages of one chunk; a copy of the table shares whole chunks.
const CHUNK_PAGES: usize = 256;

/// The frames of the pages that were written, by page index. This is all the rest of the state knows
/// about where pages are; a clone is cheap (one pointer per chunk) and shares every frame.
#[derive(Clone, Default)]
pub(super) struct PageTable {
    chunks: BTreeMap<u64, Arc<Chunk>>,
}

#[derive(Clone)]
struct Chunk {
    frames: [Option<Arc<Frame>>; CHUNK_PAGES],
    present: usize,
}

impl PageTable {
    /// The content of a page, zeros if it was never written.
    pub(super) fn page(&self, index: u64) -> &Page {
        self.frame(index).map_or(&ZERO_PAGE, |frame| frame.bytes())
    }

    pub(super) fn frame(&self, index: u64) -> Option<&Arc<Frame>> {
        let (chunk, slot) = place(index);
        self.chunks.get(&chunk)?.frames[slot].as_ref()
    }

    /// The content of a page, to be changed. Copies it first if it is shared.
    pub(super) fn page_mut(&mut self, index: u64) -> &mut Page {
        Arc::make_mut(self.frame_mut(index)).bytes_mut()
    }

    /// A page of zeros in place of whatever was there, without copying that.
    pub(super) fn blank(&mut self, index: u64) -> &mut Page {
        let frame = self.frame_mut(index);
        match Arc::get_mut(frame) {
            Some(own) => own.bytes_mut().fill(0),
            None => *frame = Arc::new(Frame::new(ZERO_PAGE)),
        }
        Arc::make_mut(frame).bytes_mut()
    }

    /// Sets a page to a frame, or to nothing.
    pub(super) fn put(&mut self, index: u64, frame: Option<Arc<Frame>>) {
        let (chunk_index, slot) = place(index);
        if frame.is_none() && !self.chunks.contains_key(&chunk_index) {
            return;
        }
        let chunk = Arc::make_mut(self.chunks.entry(chunk_index).or_default());
        chunk.present += usize::from(frame.is_some());
        let before = std::mem::replace(&mut chunk.frames[slot], frame);
        chunk.present -= usize::from(before.is_some());
        if chunk.present == 0 {
            self.chunks.remove(&chunk_index);
        }
    }

    /// Every frame from page `first` on, ascending.
    pub(super) fn frames_from(&self, first: u64) -> impl Iterator<Item = (u64, &Arc<Frame>)> {
        self.chunks
            .range(place(first).0..)
            .flat_map(|(&chunk, content)| content.frames(chunk))
            .skip_while(move |&(index, _)| index < first)
    }

    /// The lowest page whose content differs. Chunks that both share are not looked at.
    pub(super) fn first_difference(&self, other: &Self) -> Option<u64> {
        let chunks: BTreeSet<u64> = self.chunks.keys().chain(other.chunks.keys()).copied().collect();
        chunks.into_iter().filter(|chunk| !self.shares(other, *chunk)).find_map(|chunk| {
            let first = chunk * CHUNK_PAGES as u64;
            (first..first + CHUNK_PAGES as u64).find(|&index| self.page(index) != other.page(index))
        })
    }

    fn shares(&self, other: &Self, chunk: u64) -> bool {
        match (self.chunks.get(&chunk), other.chunks.get(&chunk)) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }

    fn frame_mut(&mut self, index: u64) -> &mut Arc<Frame> {
        let (chunk, slot) = place(index);
        let chunk = Arc::make_mut(self.chunks.entry(chunk).or_default());
        let frame = &mut chunk.frames[slot];
        chunk.present += usize::from(frame.is_none());
        frame.get_or_insert_with(|| Arc::new(Frame::new(ZERO_PAGE)))
    }
}

impl Chunk {
    fn frames(&self, chunk: u64) -> impl Iterator<Item = (u64, &Arc<Frame>)> {
        let first = chunk * CHUNK_PAGES as u64;
        (first..).zip(&self.frames).filter_map(|(index, frame)| Some((index, frame.as_ref()?)))
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self { frames: std::array::from_fn(|_| None), present: 0 }
    }
}

/// The chunk a page is in, and its slot there.
fn place(index: u64) -> (u64, usize) {
    (index / CHUNK_PAGES as u64, (index % CHUNK_PAGES as u64) as usize)
}

/// How many pages of 4 KiB each part of a state may have. They decide which operations fail, so they
/// are agreed configuration: equal at every replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateLimits {
    /// Pages of the raw bytes: `State::write` reaches offsets below 4096 times this.
    pub raw_pages: u32,
    /// Pages that maps, cells and values share, their inner pages included.
    pub named_pages: u32,
    /// Pages for the replica's own tables, which no service can reach.
    pub reserved_pages: u32,
}

/// Room for 4 GiB of raw bytes, 4 GiB of named structures and 1 GiB of the replica's own.
impl Default for StateLimits {
    fn default() -> Self {
        Self { raw_pages: 1 << 20, named_pages: 1 << 20, reserved_pages: 1 << 18 }
    }
}

/// A part of the region with page numbers of its own, so that no part can reach into another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arena {
    /// Bytes by offset.
    Raw,
    /// Maps, cells and values by name.
    Named,
    /// The replica's own.
    Reserved,
}

/// Bits of a page index that number the pages of one arena; those above name the arena.
const PAGE_BITS: u32 = 32;

impl Arena {
    /// The index in the region of one of this arena's pages.
    pub(super) fn index(self, page: u32) -> u64 {
        let arena: u64 = match self {
            Self::Raw => 0,
            Self::Named => 1,
            Self::Reserved => 2,
        };
        arena << PAGE_BITS | u64::from(page)
    }

    /// The arena of a page index; None if no arena has it.
    fn of(index: u64) -> Option<Self> {
        match index >> PAGE_BITS {
            0 => Some(Self::Raw),
            1 => Some(Self::Named),
            2 => Some(Self::Reserved),
            _ => None,
        }
    }
}

impl StateLimits {
    /// How many pages an arena may have.
    pub(super) fn pages(self, arena: Arena) -> u32 {
        match arena {
            Arena::Raw => self.raw_pages,
            Arena::Named => self.named_pages,
            Arena::Reserved => self.reserved_pages,
        }
    }

    /// Whether a state under these limits can have a page of this index.
    pub(super) fn allow(self, index: u64) -> bool {
        Arena::of(index).is_some_and(|arena| index < arena.index(0) + u64::from(self.pages(arena)))
    }
}

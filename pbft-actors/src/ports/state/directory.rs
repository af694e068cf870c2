//! What the named arena holds: a tree at its page 0, with an entry per map, cell and value.

use super::StateError;
use super::map::{Pages, Tree};
use super::page::u32_at;

/// Longest name of a map, cell or value, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// The page that names the directory's root.
pub(super) const HEAD: u32 = 0;

/// What a name is for; names of different kinds are apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Map,
    /// A cell of so many bytes: sizes are apart, too.
    Cell(u32),
    Value,
}

/// The directory's key for a name.
pub(super) fn key(kind: Kind, name: &str) -> Result<Vec<u8>, StateError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(StateError::NameTooLong { length: name.len(), limit: NAME_BYTES_MAX });
    }
    let mut key = match kind {
        Kind::Map => vec![b'm'],
        Kind::Cell(bytes) => [&b"c"[..], &bytes.to_be_bytes()].concat(),
        Kind::Value => vec![b'v'],
    };
    key.extend_from_slice(name.as_bytes());
    Ok(key)
}

/// What is stored under a name; a name too long to be stored has nothing.
pub(super) fn get<'a>(pages: Pages<'a>, kind: Kind, name: &str) -> Option<std::borrow::Cow<'a, [u8]>> {
    Tree::new(pages, HEAD).get(&key(kind, name).ok()?)
}

/// The page that names the root of a map.
pub(super) fn map_head(pages: Pages<'_>, name: &str) -> Option<u32> {
    get(pages, Kind::Map, name).map(|head| u32_at(&head, 0))
}

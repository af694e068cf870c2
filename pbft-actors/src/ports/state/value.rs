use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StateError;
use super::directory::{self, HEAD, Kind};
use super::map::{Pages, PagesMut, TreeMut};
use crate::codec;

/// Longest encoding of a named value, in bytes. Each change writes all of it: what grows belongs in
/// a map.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// A named place for one small value of a serde type, to be read.
pub struct Value<'a, T> {
    pages: Pages<'a>,
    name: &'a str,
    value: PhantomData<T>,
}

/// A named place for one small value of a serde type, to be changed.
///
/// The encoding must be the same at every replica, so the type must hold no `HashMap` or `HashSet`.
pub struct ValueMut<'a, T> {
    pages: PagesMut<'a>,
    name: &'a str,
    value: PhantomData<T>,
}

impl<'a, T: DeserializeOwned> Value<'a, T> {
    pub(super) fn new(pages: Pages<'a>, name: &'a str) -> Self {
        Self { pages, name, value: PhantomData }
    }

    /// The value, None if it was never set.
    ///
    /// # Errors
    /// What was set is no `T`.
    pub fn get(&self) -> Result<Option<T>, StateError> {
        let Some(bytes) = directory::get(self.pages, Kind::Value, self.name) else { return Ok(None) };
        Ok(Some(codec::decode(&bytes, VALUE_BYTES_MAX)?))
    }
}

impl<'a, T: Serialize + DeserializeOwned> ValueMut<'a, T> {
    pub(super) fn new(pages: PagesMut<'a>, name: &'a str) -> Self {
        Self { pages, name, value: PhantomData }
    }

    /// The value, None if it was never set.
    ///
    /// # Errors
    /// What was set is no `T`.
    pub fn get(&self) -> Result<Option<T>, StateError> {
        Value::new(self.pages.read(), self.name).get()
    }

    /// Sets the value.
    ///
    /// # Errors
    /// A name over [`NAME_BYTES_MAX`](super::NAME_BYTES_MAX), an encoding over [`VALUE_BYTES_MAX`],
    /// or fewer pages left than this could take. Nothing was changed then.
    ///
    /// # Panics
    /// If the type refuses to be encoded; the operation is then rolled back.
    pub fn set(&mut self, value: &T) -> Result<(), StateError> {
        let key = directory::key(Kind::Value, self.name)?;
        let bytes = codec::encode(value);
        if bytes.len() > VALUE_BYTES_MAX {
            return Err(StateError::ValueTooLong { length: bytes.len(), limit: VALUE_BYTES_MAX });
        }
        TreeMut::new(self.pages.reborrow(), HEAD).insert(&key, &bytes)
    }

    /// Makes it as if it was never set.
    pub fn remove(&mut self) {
        if let Ok(key) = directory::key(Kind::Value, self.name) {
            TreeMut::new(self.pages.reborrow(), HEAD).remove(&key);
        }
    }
}

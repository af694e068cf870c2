use std::marker::PhantomData;

use super::StateError;
use super::directory::{self, HEAD, Kind};
use super::map::{Pages, PagesMut, TreeMut};

/// A value of fixed size that a cell can hold: integers, `bool`, and arrays of bytes.
pub trait CellValue: sealed::Fixed {}

impl<T: sealed::Fixed> CellValue for T {}

/// A named place for one value of fixed size, to be read. Before it is set it holds zeros. A cell is
/// known by its name and the size of its type: under one name, `u64` and `u32` are two cells and
/// `u64` and `i64` are one.
pub struct Cell<'a, T> {
    pages: Pages<'a>,
    name: &'a str,
    value: PhantomData<T>,
}

/// A named place for one value of fixed size, to be changed.
pub struct CellMut<'a, T> {
    pages: PagesMut<'a>,
    name: &'a str,
    value: PhantomData<T>,
}

impl<'a, T: CellValue> Cell<'a, T> {
    pub(super) fn new(pages: Pages<'a>, name: &'a str) -> Self {
        Self { pages, name, value: PhantomData }
    }

    /// The value, zero if it was never set.
    pub fn get(&self) -> T {
        let bytes = directory::get(self.pages, Kind::Cell(T::BYTES), self.name);
        bytes.map_or_else(T::zero, |bytes| T::from_bytes(&bytes))
    }
}

impl<'a, T: CellValue> CellMut<'a, T> {
    pub(super) fn new(pages: PagesMut<'a>, name: &'a str) -> Self {
        Self { pages, name, value: PhantomData }
    }

    /// The value, zero if it was never set.
    pub fn get(&self) -> T {
        Cell::new(self.pages.read(), self.name).get()
    }

    /// Sets the value.
    ///
    /// # Errors
    /// A name over [`NAME_BYTES_MAX`](super::NAME_BYTES_MAX), or no page left. Nothing was changed
    /// then; a cell that was set before can always be set again.
    pub fn set(&mut self, value: T) -> Result<(), StateError> {
        let key = directory::key(Kind::Cell(T::BYTES), self.name)?;
        TreeMut::new(self.pages.reborrow(), HEAD).insert(&key, value.to_bytes().as_ref())
    }
}

mod sealed {
    use crate::ports::state::page::bytes_at;

    /// How a value of fixed size is laid out: little-endian.
    pub trait Fixed: Copy {
        const BYTES: u32;
        fn zero() -> Self;
        fn from_bytes(bytes: &[u8]) -> Self;
        fn to_bytes(self) -> impl AsRef<[u8]>;
    }

    macro_rules! fixed_integers {
        ($($integer:ty),*) => {$(
            impl Fixed for $integer {
                const BYTES: u32 = <$integer>::BITS / 8;
                fn zero() -> Self {
                    0
                }
                fn from_bytes(bytes: &[u8]) -> Self {
                    Self::from_le_bytes(Fixed::from_bytes(bytes))
                }
                fn to_bytes(self) -> impl AsRef<[u8]> {
                    self.to_le_bytes()
                }
            }
        )*};
    }

    fixed_integers!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);

    impl Fixed for bool {
        const BYTES: u32 = 1;
        fn zero() -> Self {
            false
        }
        fn from_bytes(bytes: &[u8]) -> Self {
            u8::from_bytes(bytes) != 0
        }
        fn to_bytes(self) -> impl AsRef<[u8]> {
            [u8::from(self)]
        }
    }

    impl<const N: usize> Fixed for [u8; N] {
        const BYTES: u32 = N as u32;
        fn zero() -> Self {
            [0; N]
        }
        fn from_bytes(bytes: &[u8]) -> Self {
            bytes_at(bytes, 0, N).try_into().expect("a slice of N bytes is an array of N")
        }
        fn to_bytes(self) -> impl AsRef<[u8]> {
            self
        }
    }
}

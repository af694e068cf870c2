//! Frames of an established link.

use bytes::{Bytes, BytesMut};

use super::{Target, run};
use crate::crypto::MacKey;
use crate::message::{Frame, FrameError, HEADER_BYTES, Payload, tag_of};

pub(super) const TARGET: Target =
    Target { name: "frame", run, seeds, memory_base: 4 << 10, memory_per_byte: 4 };

fn key() -> MacKey {
    MacKey::new([1; 32])
}

/// The input is header and body; the tag is made to fit.
fn run(input: &[u8]) {
    let key = key();
    // As it is nobody made a tag for it.
    assert!(Frame::open(&key, Bytes::copy_from_slice(input)).is_err());
    let Some((header, body)) = input.split_at_checked(HEADER_BYTES) else { return };
    let tag = tag_of(&key, header, &Bytes::copy_from_slice(body));
    let bytes = Bytes::from([input, &tag].concat());
    match Frame::open(&key, bytes.clone()) {
        Ok(frame) => {
            let mut again = BytesMut::new();
            Payload::new(frame.kind, frame.body).seal_into(&key, frame.counter, &mut again);
            assert_eq!(again, bytes, "a frame has one form");
        }
        Err(FrameError::Version(version)) => assert_eq!(Some(&version), input.first()),
        Err(FrameError::Kind(kind)) => assert_eq!(Some(&kind), input.get(1)),
        Err(FrameError::Long(length)) => assert_eq!(length, bytes.len()),
        Err(other) => panic!("{other}: the tag was right"),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let sealed = |(counter, said): (u64, &run::Sent)| {
        let mut bytes = BytesMut::new();
        said.payload.seal_into(&key(), counter, &mut bytes);
        bytes.truncate(bytes.len() - crate::crypto::TAG_BYTES);
        bytes.to_vec()
    };
    (0..).zip(&run::one_of_each()).map(sealed).collect()
}

//! A stream of length-prefixed frames, in pieces of any length.

use pbft_net::fuzz::frames;

use crate::Target;

pub(crate) const TARGET: Target =
    Target { name: "stream", run, seeds, memory_base: 16 << 10, memory_per_byte: 64 };

/// Bytes of the longest frame.
const LENGTH_MAX: usize = 1 << 12;

/// The first byte is the length of a piece.
fn run(input: &[u8]) {
    let Some((piece, stream)) = input.split_first() else { return };
    let (whole, end) = frames([stream], LENGTH_MAX);
    assert_eq!(
        frames(stream.chunks(usize::from(*piece).max(1)), LENGTH_MAX),
        (whole.clone(), end),
        "however it comes"
    );
    let prefixed = |frame: &[u8]| [&(frame.len() as u32).to_be_bytes(), frame].concat();
    let again: Vec<u8> = whole.iter().flat_map(|frame| prefixed(frame)).collect();
    assert!(stream.starts_with(&again), "a frame has one form");
    assert!(whole.iter().all(|frame| (1..=LENGTH_MAX).contains(&frame.len())));
}

fn seeds() -> Vec<Vec<u8>> {
    vec![
        vec![1, 0, 0, 0, 1, 7, 0, 0, 0, 5, 1, 2, 3, 4, 5],
        vec![3, 0, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0x10, 0],
        vec![0, 0, 0, 0, 0],
        vec![9, 0, 0, 0x10, 1, 1],
    ]
}

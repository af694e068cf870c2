use bytes::{BufMut, Bytes, BytesMut};
use pbft_actors::message::{OPERATION_BYTES_MAX, Refusal};

/// A byte with which no MessagePack value starts.
const MARK: u8 = 0xc1;
/// The mark, and the length of the answer as a big-endian `u32`.
const HEADER_BYTES: usize = 5;
/// Longest answer that is not made anew each time, bytes.
const SHARED_BYTES: usize = 4_096;

static ZEROS: [u8; SHARED_BYTES] = [0; SHARED_BYTES];

/// An operation that changes nothing and is answered with zeros: what a load measures is then
/// everything but the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nothing {
    /// Length of the operation, bytes; at least 5 where an answer is asked for.
    pub operation_bytes: usize,
    /// Length of the answer, bytes.
    pub reply_bytes: u32,
}

impl Nothing {
    /// The operation as a request carries it. Without any bytes it is empty.
    pub fn encode(self) -> Bytes {
        let Self { operation_bytes, reply_bytes } = self;
        let header = if reply_bytes > 0 { HEADER_BYTES } else { 0 };
        let mut operation = BytesMut::zeroed(operation_bytes.max(header));
        if let Some(mark) = operation.first_mut() {
            *mark = MARK;
        }
        if let Some(mut length) = operation.get_mut(1..HEADER_BYTES) {
            length.put_u32(reply_bytes);
        }
        operation.freeze()
    }

    /// The answer, if the operation is of this kind.
    pub(super) fn answer(operation: &[u8]) -> Option<Result<Bytes, Refusal>> {
        match operation.split_first() {
            None => Some(Ok(Bytes::new())),
            Some((&MARK, rest)) => {
                let length = rest.first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length));
                Some(zeros(length as usize))
            }
            Some(_) => None,
        }
    }
}

fn zeros(length: usize) -> Result<Bytes, Refusal> {
    match ZEROS.get(..length) {
        Some(zeros) => Ok(Bytes::from_static(zeros)),
        None if length <= OPERATION_BYTES_MAX => Ok(vec![0; length].into()),
        None => {
            let detail = format!("{length} bytes asked for; at most {OPERATION_BYTES_MAX}");
            Err(Refusal::new(Refusal::RESULT_TOO_LARGE, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_what_was_asked_for() {
        for (operation_bytes, reply_bytes) in [(0, 0), (1, 0), (4, 0), (4_096, 0), (5, 7), (64, 4_097)] {
            let operation = Nothing { operation_bytes, reply_bytes }.encode();
            assert_eq!(operation.len(), operation_bytes);
            let answer = Nothing::answer(&operation).expect("of this kind").unwrap();
            assert_eq!(answer.len(), reply_bytes as usize);
        }
        assert_eq!(Nothing { operation_bytes: 0, reply_bytes: 1 }.encode().len(), HEADER_BYTES);
    }

    #[test]
    fn an_answer_beyond_the_limit_is_refused_and_other_operations_are_left_alone() {
        let operation = Nothing { operation_bytes: 0, reply_bytes: u32::MAX }.encode();
        assert_eq!(Nothing::answer(&operation).unwrap().unwrap_err().code, Refusal::RESULT_TOO_LARGE);
        assert_eq!(Nothing::answer(b"\x81"), None);
    }
}

//! The inputs of a block: frames behind each other.
//!
//! | bytes | |
//! |---|---|
//! | 0 | how it is encoded: a [`Codec`], or 255 for a chunk whose input could not be |
//! | 1..5 | length, little-endian |
//! | .. | the input; for 255 the fault, as MessagePack |
//!
//! Nothing marks the end: the manifest has the block's bytes and their hash, and its version stands for theirs.

use super::{
    Codec,
    codec::{frame_length, read_report, write_report},
    envelope::Unreadable,
};
use crate::failure::Fault;

/// Bytes in front of an input.
pub(crate) const FRAME_HEADER: usize = 5;
const REFUSED: u8 = 255;

/// One chunk of a block.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    Value(Codec, &'a [u8]),
    /// It never could be encoded; this is its outcome.
    Refused(Fault),
}

/// Appends a chunk by letting `encode` append its input; a fault takes the input's place. When there is no chunk after all,
/// nothing is appended, and this is false.
pub(crate) fn push_input(
    out: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>) -> Option<Result<Codec, Fault>>,
) -> bool {
    let start = out.len();
    out.extend([0; FRAME_HEADER]);
    let tag = match encode(out) {
        Some(Ok(codec)) => codec as u8,
        Some(Err(fault)) => {
            out.truncate(start + FRAME_HEADER);
            out.extend(write_report(&fault));
            REFUSED
        }
        None => {
            out.truncate(start);
            return false;
        }
    };
    let length = frame_length(out.len() - start - FRAME_HEADER);
    out[start] = tag;
    out[start + 1..start + FRAME_HEADER].copy_from_slice(&length);
    true
}

/// Takes the first chunk off a block's bytes; `None` at the end.
pub(crate) fn split_input(bytes: &[u8]) -> Result<Option<(Input<'_>, &[u8])>, Unreadable> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let damaged = |reason: &str| Unreadable::damaged("block of inputs", reason);
    let Some((header, rest)) = bytes.split_first_chunk::<FRAME_HEADER>() else {
        return Err(damaged("it ends within a header"));
    };
    let [tag, length @ ..] = *header;
    let Some((body, rest)) = rest.split_at_checked(u32::from_le_bytes(length) as usize) else {
        return Err(damaged("it ends within an input"));
    };
    let input = match Codec::from_byte(tag) {
        Some(codec) => Input::Value(codec, body),
        None if tag == REFUSED => Input::Refused(read_report(body).map_err(|reason| damaged(&reason))?),
        None => return Err(damaged(&format!("no input is encoded as {tag}"))),
    };
    Ok(Some((input, rest)))
}

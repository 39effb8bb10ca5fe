//! The outcomes of a block, as one object: a header, then a frame for each chunk, in order.
//!
//! | bytes | |
//! |---|---|
//! | 0..4 | length of the header, little-endian |
//! | .. | the header, in the envelope of all small objects |
//! | for each chunk: 0 | how the value is encoded: a [`Codec`], or 255 for a failure |
//! | 1..3 | slot of the worker, 65535 if no slot ever began it; all numbers little-endian |
//! | 3..5 | attempt |
//! | 5..13 | nanoseconds of the last attempt |
//! | 13..17 | length of the body |
//! | 17..21 | CRC-32 (IEEE) of the 17 bytes before and the body |
//! | .. | the value, or the failure as MessagePack |
//!
//! Frames can be read while later ones are not there yet, so a client needs to hold no whole object.

use serde::{Deserialize, Serialize};

use super::{
    Codec,
    codec::{frame_length, read_report, write_report},
    envelope::{Kind, Stored, Unreadable},
    notes::Incarnation,
};
use crate::failure::Failure;

/// Bytes in front of a value.
pub(crate) const FRAME_HEADER: usize = 21;
/// Those of them that the checksum behind them covers, as it does the value.
pub(crate) const CHECKED: usize = 17;
const FAILED: u8 = 255;
const NO_SLOT: u16 = u16::MAX;
/// A header is a few dozen bytes; more than this is not one of ours.
const MOST_HEADER: usize = 4096;

/// Whose outcomes these are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutcomeHeader {
    pub(crate) block: u32,
    pub(crate) chunks: u32,
    pub(crate) incarnation: Incarnation,
}

impl Stored for OutcomeHeader {
    const KIND: Kind = Kind::OutcomeHeader;
}

/// One chunk's outcome, its value still encoded.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) slot: Option<u16>,
    pub(crate) attempt: u16,
    pub(crate) elapsed_nanos: u64,
    pub(crate) body: Body<'a>,
}

#[derive(Debug)]
pub(crate) enum Body<'a> {
    Value(Codec, &'a [u8]),
    Failed(Failure),
}

pub(crate) fn push_header(out: &mut Vec<u8>, header: &OutcomeHeader) {
    let object = header.to_object();
    out.extend((object.len() as u32).to_le_bytes());
    out.extend(object);
}

pub(crate) fn push_frame(out: &mut Vec<u8>, frame: &Frame<'_>) {
    let start = out.len();
    let failure;
    let (tag, body) = match &frame.body {
        Body::Value(codec, bytes) => (*codec as u8, *bytes),
        Body::Failed(failed) => {
            failure = write_report(failed);
            (FAILED, failure.as_slice())
        }
    };
    out.push(tag);
    out.extend(frame.slot.unwrap_or(NO_SLOT).to_le_bytes());
    out.extend(frame.attempt.to_le_bytes());
    out.extend(frame.elapsed_nanos.to_le_bytes());
    out.extend(frame_length(body.len()));
    let checksum = checksum(&out[start..], body);
    out.extend(checksum);
    out.extend(body);
}

/// Takes the header off the bytes; `None` if more bytes are needed.
pub(crate) fn split_header(bytes: &[u8]) -> Result<Option<(OutcomeHeader, &[u8])>, Unreadable> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if length > MOST_HEADER {
        return Err(Unreadable::NotOurs { what: Kind::OutcomeHeader.to_string() });
    }
    let Some((object, rest)) = rest.split_at_checked(length) else { return Ok(None) };
    Ok(Some((OutcomeHeader::from_object(object)?, rest)))
}

/// How many bytes the first frame takes, with its header; `None` if more bytes are needed to know. The checksum is not yet
/// looked at: a frame that ends behind its object is a damaged one, and no reason to make room for it.
pub(crate) fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(13..CHECKED)?;
    Some(FRAME_HEADER + u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize)
}

/// Takes the first frame off the bytes; `None` if more bytes are needed.
pub(crate) fn split_frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, &[u8])>, Unreadable> {
    let Some((frame, rest)) = frame_bytes(bytes).and_then(|length| bytes.split_at_checked(length)) else {
        return Ok(None);
    };
    let (header, body) = frame.split_at(FRAME_HEADER);
    let damaged = |reason: &str| Unreadable::damaged(Kind::OutcomeHeader, reason);
    if header[CHECKED..] != checksum(&header[..CHECKED], body) {
        return Err(damaged("a chunk's checksum is wrong"));
    }
    let slot = u16::from_le_bytes([header[1], header[2]]);
    let mut elapsed = [0; 8];
    elapsed.copy_from_slice(&header[5..13]);
    let body = match Codec::from_byte(header[0]) {
        Some(codec) => Body::Value(codec, body),
        None if header[0] == FAILED => Body::Failed(read_report(body).map_err(|reason| damaged(&reason))?),
        None => return Err(damaged(&format!("no value is encoded as {}", header[0]))),
    };
    let frame = Frame {
        slot: (slot != NO_SLOT).then_some(slot),
        attempt: u16::from_le_bytes([header[3], header[4]]),
        elapsed_nanos: u64::from_le_bytes(elapsed),
        body,
    };
    Ok(Some((frame, rest)))
}

fn checksum(header: &[u8], body: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(body);
    hasher.finalize().to_le_bytes()
}

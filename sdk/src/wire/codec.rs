//! The format of one encoded value; what the formats are is said in `function/codec.rs`.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The format of one encoded value, kept beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub(crate) enum Codec {
    Postcard = 0,
    MessagePack = 1,
}

impl Codec {
    pub(crate) fn from_byte(byte: u8) -> Option<Codec> {
        match byte {
            0 => Some(Codec::Postcard),
            1 => Some(Codec::MessagePack),
            _ => None,
        }
    }
}

/// A fault is a few levels deep. More would only cost stack, and a thread may have little.
const MOST_DEPTH: usize = 16;

/// How a fault or a failure takes the place of a value.
pub(super) fn write_report(report: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(report).expect("a report is text and numbers")
}

/// Reads a report that fills `bytes` exactly.
pub(super) fn read_report<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut rest = bytes;
    let mut reader = rmp_serde::Deserializer::new(&mut rest);
    reader.set_max_depth(MOST_DEPTH);
    let report = T::deserialize(&mut reader).map_err(|error| error.to_string())?;
    if rest.is_empty() { Ok(report) } else { Err(format!("{} bytes are left over", rest.len())) }
}

/// The length of a value or report as frames have it. Callers encode no value over `MAX_BYTES_LIMIT`; a shorter number in
/// its place would turn the rest of the object into nonsense.
pub(super) fn frame_length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("a frame is shorter than 4 GiB").to_le_bytes()
}

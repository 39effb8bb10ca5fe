//! The format of one encoded value; what the formats are is said in `function/codec.rs`.

use serde::{Deserialize, Serialize};

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

//! What a small stored object begins and ends with.
//!
//! | bytes | |
//! |---|---|
//! | 0..4 | `cmap` |
//! | 4 | what it is: [`Kind`] |
//! | 5 | its version |
//! | .. | the body, in postcard |
//! | last 4 | CRC-32 (IEEE) of all before, little-endian |

use std::fmt;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

const MAGIC: [u8; 4] = *b"cmap";
const HEADER: usize = 6;
const CHECKSUM: usize = 4;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Manifest = 1,
    Claim = 2,
    Left = 3,
    Trying = 4,
    Number = 5,
    Intent = 6,
    Submitted = 7,
    Cancelled = 8,
    Closed = 9,
    WorkerRecord = 10,
    OutcomeHeader = 11,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Manifest => "manifest",
            Kind::Claim => "claim",
            Kind::Left => "note of leaving",
            Kind::Trying => "note of trying",
            Kind::Number => "claimed number",
            Kind::Intent => "note of intent",
            Kind::Submitted => "note of a submitted job",
            Kind::Cancelled => "note of cancelling",
            Kind::Closed => "closing note",
            Kind::WorkerRecord => "worker record",
            Kind::OutcomeHeader => "block of outcomes",
        })
    }
}

/// Why stored bytes cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(
        "it is a {what} of version {version}, and this program reads versions up to {known}; a newer one wrote it"
    )]
    Newer { what: String, version: u8, known: u8 },
    /// Not even the beginning is right: another object, or none of this project's.
    #[error("it is not a {what}")]
    NotOurs { what: String },
    #[error("it is a damaged {what}: {reason}")]
    Damaged { what: String, reason: String },
}

impl Unreadable {
    pub(crate) fn damaged(what: impl fmt::Display, reason: impl fmt::Display) -> Unreadable {
        Unreadable::Damaged { what: what.to_string(), reason: reason.to_string() }
    }
}

/// Something that is stored as an object of its own.
pub(crate) trait Stored: Serialize + DeserializeOwned {
    const KIND: Kind;
    /// The version that is written. A change of the body's layout raises it, and readers keep the older layouts.
    const VERSION: u8 = 1;

    /// What makes no sense in it, although it can be decoded.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// The whole object.
    fn to_object(&self) -> Bytes {
        let mut object = Vec::from(MAGIC);
        object.extend([Self::KIND as u8, Self::VERSION]);
        let mut object =
            postcard::to_extend(self, object).expect("the types here have nothing that postcard refuses");
        let checksum = crc32fast::hash(&object);
        object.extend(checksum.to_le_bytes());
        object.into()
    }

    /// Reads an object that `to_object` made.
    fn from_object(object: &[u8]) -> Result<Self, Unreadable> {
        let what = || Self::KIND.to_string();
        let Some((header, rest)) = object.split_first_chunk::<HEADER>() else {
            return Err(Unreadable::NotOurs { what: what() });
        };
        if header[..4] != MAGIC || header[4] != Self::KIND as u8 {
            return Err(Unreadable::NotOurs { what: what() });
        }
        // Before the checksum: a newer version may place it elsewhere.
        if header[5] > Self::VERSION {
            return Err(Unreadable::Newer { what: what(), version: header[5], known: Self::VERSION });
        }
        let damaged = |reason: String| Unreadable::damaged(Self::KIND, reason);
        let Some((body, checksum)) = rest.split_last_chunk::<CHECKSUM>() else {
            return Err(damaged("it ends before its checksum".into()));
        };
        if crc32fast::hash(&object[..HEADER + body.len()]).to_le_bytes() != *checksum {
            return Err(damaged("its checksum is wrong".into()));
        }
        if header[5] != Self::VERSION {
            return Err(damaged(format!("no version {} was ever written", header[5])));
        }
        let (value, rest) =
            postcard::take_from_bytes::<Self>(body).map_err(|error| damaged(error.to_string()))?;
        if !rest.is_empty() {
            return Err(damaged(format!("{} bytes are left over", rest.len())));
        }
        value.check().map_err(damaged)?;
        Ok(value)
    }
}

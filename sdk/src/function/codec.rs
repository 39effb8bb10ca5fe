//! How one value becomes bytes, and back.
//!
//! postcard is the default: small, and as fast as a copy on floating-point data. It is not
//! self-describing, so serde's `untagged`, `tag`, `flatten`, `skip_serializing_if` and free-form values such
//! as `serde_json::Value` cannot be read back from it. Those go as MessagePack with named fields. The choice
//! is recorded beside every value, so a reader never guesses.

use std::io;

use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};

use super::strict::Strict;
use crate::error::Error;

/// The format of one encoded value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Most bytes that one encoded value may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit(pub(crate) usize);

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EncodeError {
    TooLarge,
    Refused(String),
}

/// Appends `value` to `out`, as postcard if `first_choice` is postcard and the value allows it.
/// On an error `out` is as long as before.
pub(crate) fn encode<T: Serialize + ?Sized>(
    value: &T,
    first_choice: Codec,
    limit: Limit,
    out: &mut Vec<u8>,
) -> Result<Codec, EncodeError> {
    let start = out.len();
    let end = start.saturating_add(limit.0);
    if first_choice == Codec::Postcard {
        let mut serializer = postcard::Serializer { output: Appending { out: &mut *out, end } };
        match value.serialize(Strict(&mut serializer)) {
            Ok(()) => return Ok(Codec::Postcard),
            Err(postcard::Error::SerializeBufferFull) => {
                out.truncate(start);
                return Err(EncodeError::TooLarge);
            }
            // Either postcard cannot say it, in which case MessagePack can, or the user's `Serialize` refuses,
            // in which case it will refuse again and name the reason.
            Err(_) => out.truncate(start),
        }
    }
    let mut bounded = Bounded { out: &mut *out, end, full: false };
    let written = value.serialize(&mut rmp_serde::Serializer::new(&mut bounded).with_struct_map());
    let full = bounded.full;
    written.map(|()| Codec::MessagePack).map_err(|error| {
        out.truncate(start);
        if full { EncodeError::TooLarge } else { EncodeError::Refused(error.to_string()) }
    })
}

/// Reads one value that fills `bytes` exactly.
pub(crate) fn decode<T: DeserializeOwned>(codec: Codec, bytes: &[u8]) -> Result<T, String> {
    match codec {
        Codec::Postcard => match postcard::take_from_bytes(bytes) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(format!("{} bytes are left over", rest.len())),
            Err(error) => Err(error.to_string()),
        },
        Codec::MessagePack => rmp_serde::from_slice(bytes).map_err(|error| error.to_string()),
    }
}

/// Whether these postcard bytes give back a `T`. The length of a second encoding is compared too: it catches
/// fields that are written but not read or read but not written, and unlike the bytes themselves it does not
/// depend on the order of a hash map.
pub(crate) fn reads_back<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> bool {
    decode::<T>(Codec::Postcard, bytes)
        .is_ok_and(|value| postcard::experimental::serialized_size(&value) == Ok(bytes.len()))
}

/// The data that all chunks of a run share, written so that it can be read back.
///
/// # Errors
/// [`Error::Shared`] when no codec can write it.
pub(crate) fn encode_shared<S: Serialize + DeserializeOwned>(shared: &S) -> Result<(Codec, Vec<u8>), Error> {
    let unlimited = Limit(usize::MAX);
    let refused = |error| Error::Shared { type_name: std::any::type_name::<S>(), reason: format!("{error:?}") };
    let mut bytes = Vec::new();
    let mut codec = encode(shared, Codec::Postcard, unlimited, &mut bytes).map_err(refused)?;
    if codec == Codec::Postcard && !reads_back::<S>(&bytes) {
        bytes.clear();
        codec = encode(shared, Codec::MessagePack, unlimited, &mut bytes).map_err(refused)?;
    }
    Ok((codec, bytes))
}

/// Appends to a vector up to a bound, in whole slices: `Extend` would go byte by byte.
struct Appending<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
}

impl Flavor for Appending<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        if self.out.len() >= self.end {
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.out.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if bytes.len() > self.end - self.out.len() {
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
    full: bool,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.end - self.out.len() {
            self.full = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

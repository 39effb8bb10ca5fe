//! How one value becomes bytes, and back.
//!
//! postcard is the default: small, and as fast as a copy on floating-point data. It is not
//! self-describing, so serde's `untagged`, `tag`, `flatten`, `skip_serializing_if` and free-form values such
//! as `serde_json::Value` cannot be read back from it. Those go as MessagePack with named fields. The choice
//! is recorded beside every value, so a reader never guesses.

use std::io;

use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};

use super::strict::{Strict, Structure, Trail};
use crate::error::Error;
pub(crate) use crate::wire::Codec;

/// Most bytes that one encoded value may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit(pub(crate) usize);

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EncodeError {
    TooLarge,
    Refused(String),
}

/// Encodes the values of a run, and learns from them which codec they need.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    /// A value came that postcard could not give back: all others go as MessagePack too.
    fallen: bool,
    /// The structure that postcard is known to give back.
    proven: u64,
}

impl Encoder {
    /// For another run of the same types: what is known of the structure stays true.
    pub(crate) fn renew(&mut self) {
        self.fallen = false;
    }

    /// Appends `value` to `out`. Every value whose structure is new is decoded again here, and if that fails it goes as
    /// MessagePack. On an error `out` is as long as before.
    #[inline]
    pub(crate) fn encode<T: Serialize + DeserializeOwned>(
        &mut self,
        value: &T,
        limit: Limit,
        out: &mut Vec<u8>,
    ) -> Result<Codec, EncodeError> {
        if !self.fallen {
            let start = out.len();
            let met = Structure::default();
            match to_postcard(value, &met, limit, out) {
                // Bit 0 of `proven` is shared with structure, and set by the first value in any case.
                Ok(()) if (met.bits() | 1) & !self.proven == 0 => return Ok(Codec::Postcard),
                Ok(()) if reads_back::<T>(&out[start..]) => {
                    self.proven |= met.bits() | 1;
                    return Ok(Codec::Postcard);
                }
                Err(postcard::Error::SerializeBufferFull) => {
                    out.truncate(start);
                    return Err(EncodeError::TooLarge);
                }
                // Either postcard cannot say it, in which case MessagePack can, or the user's `Serialize` refuses, in which
                // case it will refuse again and name the reason.
                Ok(()) | Err(_) => out.truncate(start),
            }
        }
        to_message_pack(value, limit, out)?;
        self.fallen = true;
        Ok(Codec::MessagePack)
    }
}

#[inline]
fn to_postcard<T: Serialize>(
    value: &T,
    met: &Structure,
    limit: Limit,
    out: &mut Vec<u8>,
) -> postcard::Result<()> {
    let end = out.len().saturating_add(limit.0);
    let mut serializer = postcard::Serializer { output: Appending { out, end } };
    value.serialize(Strict(&mut serializer, Trail::new(met)))
}

fn to_message_pack<T: Serialize>(value: &T, limit: Limit, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    let mut bounded = Bounded { end: start.saturating_add(limit.0), out: &mut *out, full: false };
    let written = value.serialize(&mut rmp_serde::Serializer::new(&mut bounded).with_struct_map());
    let full = bounded.full;
    written.map_err(|error| {
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
fn reads_back<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> bool {
    decode::<T>(Codec::Postcard, bytes)
        .is_ok_and(|value| postcard::experimental::serialized_size(&value) == Ok(bytes.len()))
}

/// The data that all chunks of a run share, written so that it can be read back.
///
/// # Errors
/// [`Error::Shared`] when no codec can write it, or read it back.
pub(crate) fn encode_shared<S: Serialize + DeserializeOwned>(shared: &S) -> Result<(Codec, Vec<u8>), Error> {
    let unusable = |reason| Error::Shared { type_name: std::any::type_name::<S>(), reason };
    let mut bytes = Vec::new();
    let codec =
        Encoder::default().encode(shared, Limit(usize::MAX), &mut bytes).map_err(|error| match error {
            EncodeError::Refused(reason) => unusable(reason),
            EncodeError::TooLarge => unusable("it does not fit into memory".into()),
        })?;
    if codec == Codec::MessagePack {
        decode::<S>(codec, &bytes).map_err(unusable)?;
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
        if self.out.len() + bytes.len() > self.end {
            return Err(postcard::Error::SerializeBufferFull);
        }
        if bytes.len() < 8 {
            // An integer, written byte by byte just now: copied in larger pieces, it would be waited for.
            self.out.reserve(bytes.len());
            bytes.iter().for_each(|byte| self.out.push(*byte));
        } else {
            self.out.extend_from_slice(bytes);
        }
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

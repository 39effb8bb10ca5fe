//! What the pipes carry. Both ends are the same program on the same machine, so integers are little-endian and
//! plain, and nothing is compressed.
//!
//! ```text
//! parent -> slot   header (24 bytes)  kind u32 | chunks u32 | first chunk's number u64 | body's length u64
//!     kind 1, run:     Run, as postcard behind its own length u32 | the shared data
//!     kind 2, chunks:  for each: codec u8 | length u32 | encoded input
//!     kind 3, chunks:  the same, but the body is a parcel (see parcel.rs), not in the pipe
//! slot -> parent   hello (32 bytes)   magic u64 | process u32 | 0 u32 | program u64 | nonce u64
//!                  then for each chunk: number's low half u32 | length u32 | kind u8 and elapsed ns u56 | body
//!     kind 0, 1:       a value in the codec of that number;   kind 2: a Fault, as postcard
//!     plus 128:        the body is a parcel, not in the pipe
//! ```

use std::{fs, hash::DefaultHasher, hash::Hasher, io, os::linux::fs::MetadataExt};

use serde::{Deserialize, Serialize};

use crate::{
    failure::{FailureKind, Fault},
    function::Codec,
};

pub(super) const HEADER: usize = 24;
pub(super) const CHUNK_HEADER: usize = 5;
pub(super) const RECORD: usize = 16;
pub(super) const HELLO: usize = 32;

/// "cloud" and the version of this layout.
const MAGIC: u64 = u64::from_le_bytes(*b"cloud\0\0\x01");
const FAULT: u64 = 2;
const IN_PARCEL: u64 = 128;

/// What a slot must know of a run before its first chunk.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunFrame {
    pub(crate) function: u64,
    pub(crate) name: String,
    /// The codec byte of the shared data, if there is any.
    pub(crate) shared: Option<u8>,
    pub(crate) max_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Run = 1,
    Chunks = 2,
    ChunksInParcel = 3,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) chunks: u32,
    pub(super) first: u64,
    pub(super) body: u64,
}

impl Header {
    pub(super) fn write(&self, frame: &mut [u8]) {
        frame[..4].copy_from_slice(&(self.kind as u32).to_le_bytes());
        frame[4..8].copy_from_slice(&self.chunks.to_le_bytes());
        frame[8..16].copy_from_slice(&self.first.to_le_bytes());
        frame[16..HEADER].copy_from_slice(&self.body.to_le_bytes());
    }

    pub(super) fn read(bytes: &[u8]) -> io::Result<Header> {
        let kind = match u32_at(bytes, 0) {
            1 => Kind::Run,
            2 => Kind::Chunks,
            3 => Kind::ChunksInParcel,
            other => return Err(io::Error::other(format!("unknown frame kind {other}"))),
        };
        Ok(Header { kind, chunks: u32_at(bytes, 4), first: u64_at(bytes, 8), body: u64_at(bytes, 16) })
    }
}

/// A whole run frame.
pub(crate) fn run_frame(run: &RunFrame, shared: &[u8]) -> Vec<u8> {
    let described = postcard::to_stdvec(run).expect("plain fields always encode");
    let mut frame = vec![0; HEADER];
    frame.extend_from_slice(&(described.len() as u32).to_le_bytes());
    frame.extend_from_slice(&described);
    frame.extend_from_slice(shared);
    let body = (frame.len() - HEADER) as u64;
    Header { kind: Kind::Run, chunks: 0, first: 0, body }.write(&mut frame);
    frame
}

/// The two parts of a run frame's body.
pub(super) fn split_run_frame(body: &[u8]) -> io::Result<(RunFrame, &[u8])> {
    let broken = || io::Error::other("a run frame is cut short");
    let (length, rest) = body.split_first_chunk::<4>().ok_or_else(broken)?;
    let (run, shared) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(broken)?;
    Ok((postcard::from_bytes(run).map_err(io::Error::other)?, shared))
}

/// Fills in the five bytes before a chunk's input.
pub(super) fn write_chunk_header(header: &mut [u8], codec: Codec, length: usize) {
    header[0] = codec as u8;
    header[1..CHUNK_HEADER].copy_from_slice(&(length as u32).to_le_bytes());
}

/// The chunk at the start of `bytes`, and what follows it.
pub(super) fn split_chunk(bytes: &[u8]) -> io::Result<(Codec, &[u8], &[u8])> {
    let broken = || io::Error::other("a chunk frame is cut short");
    let (header, rest) = bytes.split_first_chunk::<CHUNK_HEADER>().ok_or_else(broken)?;
    let codec = Codec::from_byte(header[0]).ok_or_else(broken)?;
    let (input, rest) = rest.split_at_checked(u32_at(header, 1) as usize).ok_or_else(broken)?;
    Ok((codec, input, rest))
}

/// What a slot says first, so that its parent knows that it is a slot, of this program, started by this parent.
pub(super) fn hello(nonce: u64) -> [u8; HELLO] {
    let mut hello = [0; HELLO];
    hello[..8].copy_from_slice(&MAGIC.to_le_bytes());
    hello[8..12].copy_from_slice(&std::process::id().to_le_bytes());
    hello[16..24].copy_from_slice(&program().to_le_bytes());
    hello[24..].copy_from_slice(&nonce.to_le_bytes());
    hello
}

/// Why these bytes, perhaps fewer than a hello has, are not the hello expected. A stray print is told at its first byte.
pub(super) fn check_hello(bytes: &[u8], nonce: u64) -> Result<(), String> {
    let magic = MAGIC.to_le_bytes();
    let head = bytes.len().min(magic.len());
    if bytes[..head] != magic[..head] {
        let said = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        return Err(format!("it printed {said:?} before `cloud::init`"));
    }
    if bytes.len() < HELLO {
        return Ok(());
    }
    if u64_at(bytes, 16) != program() {
        return Err("it is another program than this one".into());
    }
    if u64_at(bytes, 24) != nonce {
        return Err("it was not started by this process".into());
    }
    Ok(())
}

/// Names the program that runs: device, inode, size and time of its file. A slot executes `/proc/self/exe`, the very
/// inode of its parent, so this needs no reading of what may be 200 MB of debug information.
pub(super) fn program() -> u64 {
    static PROGRAM: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *PROGRAM.get_or_init(|| {
        let mut hasher = DefaultHasher::new();
        if let Ok(file) = fs::metadata("/proc/self/exe") {
            for part in [
                file.st_dev(),
                file.st_ino(),
                file.st_size(),
                file.st_mtime() as u64,
                file.st_mtime_nsec() as u64,
            ] {
                hasher.write_u64(part);
            }
        }
        hasher.finish()
    })
}

/// One chunk's result as it lies in the pipe.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    /// Low half of the chunk's number.
    pub(super) number: u32,
    pub(super) length: usize,
    /// Nanoseconds.
    pub(super) elapsed: u64,
    pub(super) content: Content,
    /// The body is not behind this header but in the results' place of the page's file.
    pub(super) in_parcel: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Value(Codec),
    Fault,
}

impl Record {
    /// In two words, which stay in registers until they are where they go: written by parts and copied at once, they would
    /// be waited for.
    #[inline]
    pub(super) fn header(&self) -> [u8; RECORD] {
        let kind = match self.content {
            Content::Value(codec) => codec as u64,
            Content::Fault => FAULT,
        };
        let kind = kind | if self.in_parcel { IN_PARCEL } else { 0 };
        let nanos = self.elapsed.min((1 << 56) - 1); // two years
        let first = u64::from(self.number) | (self.length as u64) << 32;
        (u128::from(first) | u128::from(kind | nanos << 8) << 64).to_le_bytes()
    }

    /// How many bytes of the pipe the record takes that begins here; `None` while its header is not whole.
    #[inline]
    pub(super) fn length_in_pipe(bytes: &[u8]) -> Option<usize> {
        if bytes.len() < RECORD {
            return None;
        }
        let in_parcel = u64::from(bytes[8]) & IN_PARCEL != 0;
        Some(if in_parcel { RECORD } else { RECORD + u32_at(bytes, 4) as usize })
    }

    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Result<Record, String> {
        let last = u64_at(bytes, 8);
        let content = match last & (IN_PARCEL - 1) {
            FAULT => Content::Fault,
            kind => Content::Value(
                Codec::from_byte(kind as u8).ok_or_else(|| format!("unknown record kind {kind}"))?,
            ),
        };
        Ok(Record {
            number: u32_at(bytes, 0),
            length: u32_at(bytes, 4) as usize,
            elapsed: last >> 8,
            content,
            in_parcel: last & IN_PARCEL != 0,
        })
    }
}

pub(super) fn encode_fault(fault: &Fault) -> Vec<u8> {
    postcard::to_stdvec(fault).expect("plain fields always encode")
}

pub(super) fn decode_fault(bytes: &[u8]) -> Fault {
    postcard::from_bytes(bytes).unwrap_or_else(|error| {
        Fault::new(FailureKind::UndecodableResult, format!("the slot's report cannot be read: {error}"))
    })
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_header() {
        for (content, in_parcel) in [
            (Content::Value(Codec::Postcard), false),
            (Content::Value(Codec::MessagePack), true),
            (Content::Fault, false),
            (Content::Fault, true),
        ] {
            let record =
                Record { number: u32::MAX - 1, length: 70_000, elapsed: (1 << 56) - 2, content, in_parcel };
            let header = record.header();
            let back = Record::read(&header).unwrap();
            assert_eq!(
                (back.number, back.length, back.elapsed),
                (record.number, record.length, record.elapsed)
            );
            assert_eq!((back.content, back.in_parcel), (content, in_parcel));
            assert_eq!(Record::length_in_pipe(&header), Some(RECORD + if in_parcel { 0 } else { 70_000 }));
            assert_eq!(Record::length_in_pipe(&header[..RECORD - 1]), None);
        }
    }

    #[test]
    fn an_unknown_record_is_refused() {
        let mut header = [0; RECORD];
        header[8] = 77;
        assert_eq!(Record::read(&header).unwrap_err(), "unknown record kind 77");
    }

    #[test]
    fn a_print_is_not_taken_for_a_hello_even_if_it_is_short() {
        assert_eq!(check_hello(b"r", 7).unwrap_err(), "it printed \"r\" before `cloud::init`");
        assert!(check_hello(b"running 3 tests\n", 7).is_err());
    }

    #[test]
    fn a_hello_counts_only_with_its_nonce_and_program() {
        let mut bytes = hello(7);
        assert_eq!(check_hello(&bytes, 7), Ok(()));
        assert_eq!(check_hello(&bytes[..5], 7), Ok(()));
        assert_eq!(check_hello(&bytes, 8).unwrap_err(), "it was not started by this process");
        bytes[16] ^= 1;
        assert_eq!(check_hello(&bytes, 7).unwrap_err(), "it is another program than this one");
    }

    #[test]
    fn frames_cut_short_are_refused() {
        let run = RunFrame { function: 1, name: "f".into(), shared: Some(0), max_bytes: 9 };
        let frame = run_frame(&run, b"shared");
        let header = Header::read(&frame).unwrap();
        assert_eq!((header.kind, header.body as usize), (Kind::Run, frame.len() - HEADER));
        let (back, shared) = split_run_frame(&frame[HEADER..]).unwrap();
        assert_eq!((back.name.as_str(), shared), ("f", &b"shared"[..]));
        assert!(split_run_frame(&frame[HEADER..HEADER + 6]).is_err());
        assert!(split_chunk(&[0, 9, 0, 0, 0, 1]).is_err());
        assert!(split_chunk(&[9, 0, 0, 0, 0]).is_err());
    }
}

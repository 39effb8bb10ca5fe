//! The readers of stored objects, each as a function of arbitrary bytes: for fuzzers.
//!
//! A function panics if its reader does, and if what was read does not come back when it is written and read again. Bytes
//! are also read with their checksums put right, since nobody finds those by chance.
//!
//! `cargo test` drives all of them with mutations of the samples in `sdk/src/wire/golden`. For a fuzzer that looks for new
//! ways through the code there is a target for each in `sdk/fuzz`; it needs a nightly toolchain and
//! `cargo install cargo-fuzz`. From `sdk/fuzz`, one reader until it fails or Ctrl-C ends it, with no allocation over 64 MiB:
//!
//! ```text
//! mkdir -p corpus/manifest
//! cargo +nightly fuzz run manifest corpus/manifest ../src/wire/golden -- -malloc_limit_mb=64
//! ```

use std::fmt::Debug;

use crate::wire::{
    Cancelled, Claim, Closed, Hash, Intent, Keys, Left, Location, Manifest, Number, RoundKey, RunId, Stored,
    Submitted, Trying, WorkerRecord, block, outcome,
};

/// Reads a manifest.
pub fn manifest(bytes: &[u8]) {
    object::<Manifest>(bytes);
}

/// Reads a claim.
pub fn claim(bytes: &[u8]) {
    object::<Claim>(bytes);
}

/// Reads a note of leaving.
pub fn left(bytes: &[u8]) {
    object::<Left>(bytes);
}

/// Reads a note of trying.
pub fn trying(bytes: &[u8]) {
    object::<Trying>(bytes);
}

/// Reads a claimed number.
pub fn number(bytes: &[u8]) {
    object::<Number>(bytes);
}

/// Reads a note of intent.
pub fn intent(bytes: &[u8]) {
    object::<Intent>(bytes);
}

/// Reads a note of a submitted job.
pub fn submitted(bytes: &[u8]) {
    object::<Submitted>(bytes);
}

/// Reads a note of cancelling.
pub fn cancelled(bytes: &[u8]) {
    object::<Cancelled>(bytes);
}

/// Reads a closing note.
pub fn closed(bytes: &[u8]) {
    object::<Closed>(bytes);
}

/// Reads a worker record.
pub fn worker_record(bytes: &[u8]) {
    object::<WorkerRecord>(bytes);
}

/// Reads a block of inputs.
pub fn inputs(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some((input, behind))) = block::split_input(rest) {
        let mut again = Vec::new();
        block::push_input(&mut again, |out| match &input {
            block::Input::Value(codec, value) => {
                out.extend_from_slice(value);
                Some(Ok(*codec))
            }
            block::Input::Refused(fault) => Some(Err(fault.clone())),
        });
        let (copy, nothing) = block::split_input(&again).expect("a readable input").expect("an input");
        assert_eq!((format!("{copy:?}"), nothing.len()), (format!("{input:?}"), 0));
        rest = behind;
    }
}

/// Reads a block of outcomes.
pub fn outcomes(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    seal_outcomes(&mut sealed);
    for object in [bytes, &sealed] {
        let Ok(Some((header, mut rest))) = outcome::split_header(object) else { continue };
        let mut again = Vec::new();
        outcome::push_header(&mut again, &header);
        assert_eq!(outcome::split_header(&again), Ok(Some((header, [].as_slice()))));
        while let Ok(Some((frame, behind))) = outcome::split_frame(rest) {
            let mut again = Vec::new();
            outcome::push_frame(&mut again, &frame);
            let (copy, nothing) = outcome::split_frame(&again).expect("a readable frame").expect("a frame");
            assert_eq!((format!("{copy:?}"), nothing.len()), (format!("{frame:?}"), 0));
            rest = behind;
        }
    }
}

/// Reads keys of a run, one a line.
pub fn keys(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        text.lines().for_each(key);
    }
}

fn key(key: &str) {
    let keys = Keys::of(RunId::new(0, 0));
    if let Some((block, generation)) = keys.parse_claim(key) {
        assert_eq!(keys.claim(block, generation), key);
    }
    if let Some((round, what)) = keys.parse_round(key) {
        let again = match what {
            RoundKey::Intent(attempt) => keys.intent(round, attempt),
            RoundKey::Submitted => keys.submitted(round),
        };
        assert_eq!(again, key);
    }
    if let Some(incarnation) = keys.parse_left(key) {
        assert_eq!(keys.left(incarnation), key);
    }
    if let Some((generation, chunk)) = keys.parse_trying(0, key) {
        assert_eq!(keys.trying(0, generation, chunk), key);
    }
    if let Some(block) = keys.parse_out(key) {
        assert_eq!(keys.out(block), key);
    }
}

/// Reads what a container is told: a location, a hash.
pub fn location(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(location) = text.parse::<Location>() {
        assert_eq!(location.to_string().parse(), Ok(location));
    }
    if let Some(hash) = Hash::parse(text) {
        assert_eq!(hash.to_string(), text);
    }
}

fn object<T: Stored + PartialEq + Debug>(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    seal(&mut sealed);
    for object in [bytes, &sealed] {
        if let Ok(value) = T::from_object(object) {
            assert_eq!(T::from_object(&value.to_object()), Ok(value));
        }
    }
}

/// Puts the checksum at the end right.
fn seal(object: &mut [u8]) {
    if let Some((content, checksum)) = object.split_last_chunk_mut::<4>() {
        *checksum = crc32fast::hash(content).to_le_bytes();
    }
}

/// Puts the checksums of the header and of all whole frames right.
fn seal_outcomes(object: &mut [u8]) {
    let Some((length, rest)) = object.split_first_chunk_mut::<4>() else { return };
    let length = u32::from_le_bytes(*length) as usize;
    let Some((header, mut rest)) = rest.split_at_mut_checked(length) else { return };
    seal(header);
    while let Some(length) = outcome::frame_bytes(rest) {
        let Some((frame, behind)) = rest.split_at_mut_checked(length) else { return };
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&frame[..outcome::CHECKED]);
        hasher.update(&frame[outcome::FRAME_HEADER..]);
        frame[outcome::CHECKED..outcome::FRAME_HEADER].copy_from_slice(&hasher.finalize().to_le_bytes());
        rest = behind;
    }
}

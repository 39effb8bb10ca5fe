//! Every reader meets mutated samples, as a fuzzer would make them.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{cases, golden};
use crate::testing::wire;

type Reader = fn(&[u8]);

/// Every reader, by the name of its sample.
const READERS: [(&str, Reader); 14] = [
    ("manifest", wire::manifest),
    ("claim", wire::claim),
    ("left", wire::left),
    ("trying", wire::trying),
    ("number", wire::number),
    ("intent", wire::intent),
    ("submitted", wire::submitted),
    ("cancelled", wire::cancelled),
    ("closed", wire::closed),
    ("worker_record", wire::worker_record),
    ("inputs", wire::inputs),
    ("outcomes", wire::outcomes),
    ("keys", wire::keys),
    ("location", wire::location),
];

#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

fn changes() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), prop_oneof![Just(0), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()])
            .prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, 1 << bit)),
        (at(), vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at(), 1..40_usize).prop_map(|(at, bytes)| Change::Remove(at, bytes)),
        (at(), 1..200_usize).prop_map(|(at, bytes)| Change::Repeat(at, bytes)),
        at().prop_map(Change::Cut),
    ]
}

fn apply(change: &Change, bytes: &mut Vec<u8>) {
    // One more than there are: the end is a place too.
    let place = |at: &Index| at.index(bytes.len() + 1);
    match change {
        Change::Set(at, byte) => {
            let at = place(at);
            if let Some(old) = bytes.get_mut(at) {
                *old = *byte;
            }
        }
        Change::Flip(at, bit) => {
            let at = place(at);
            if let Some(old) = bytes.get_mut(at) {
                *old ^= bit;
            }
        }
        Change::Insert(at, new) => {
            let at = place(at);
            bytes.splice(at..at, new.iter().copied());
        }
        Change::Remove(at, count) => {
            let at = place(at);
            bytes.drain(at..bytes.len().min(at + count));
        }
        Change::Repeat(at, count) => {
            let at = place(at);
            bytes.extend_from_within(at..bytes.len().min(at + count));
        }
        Change::Cut(at) => bytes.truncate(place(at)),
    }
}

proptest! {
    #![proptest_config(cases(4096))]

    #[test]
    fn no_reader_panics(changes in vec(changes(), 1..6)) {
        for (name, mut bytes) in golden::samples() {
            let (_, read) = READERS.iter().find(|(reader, _)| *reader == name).unwrap();
            for change in &changes {
                apply(change, &mut bytes);
            }
            read(&bytes);
        }
    }

    #[test]
    fn nor_for_bytes_of_any_kind(bytes in vec(any::<u8>(), 0..200)) {
        for (_, read) in READERS {
            read(&bytes);
        }
    }
}

#[test]
fn every_reader_has_a_sample() {
    let samples: Vec<_> = golden::samples().into_iter().map(|(name, _)| name).collect();
    assert_eq!(READERS.map(|(name, _)| name).to_vec(), samples);
}

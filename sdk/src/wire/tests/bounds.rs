//! No bytes make a reader take memory beyond what they fill.

use proptest::{collection::vec, prelude::*};

use super::{cases, golden};
use crate::{
    failure::{Failure, FailureKind, FailureReport, Fault},
    wire::{
        block::split_input,
        codec::{read_report, write_report},
        outcome::{OutcomeHeader, split_frame, split_header},
        *,
    },
};

/// The smallest element of a list is a byte, and 24 in memory; a growing list is there twice, once of double size.
const FACTOR: u64 = 80;
/// What serde reserves at most for a list whose length it is told.
const RESERVED: u64 = 1 << 20;
const TEXTS: u64 = 4 << 10;

fn bounded(bytes: &[u8], read: impl FnOnce(&[u8])) {
    let taken = allocation_counter::measure(|| read(bytes)).bytes_max;
    let most = FACTOR * bytes.len() as u64 + RESERVED + TEXTS;
    assert!(taken <= most, "{taken} bytes of memory for {}", bytes.len());
}

fn object<T: Stored>(body: &[u8]) {
    let mut object = Vec::from(*b"cmap");
    object.extend([T::KIND as u8, T::VERSION]);
    object.extend(body);
    object.extend(crc32fast::hash(&object).to_le_bytes());
    bounded(&object, |object| _ = T::from_object(object));
}

fn every_object(body: &[u8]) {
    object::<Manifest>(body);
    object::<Claim>(body);
    object::<Left>(body);
    object::<Trying>(body);
    object::<Number>(body);
    object::<Intent>(body);
    object::<Submitted>(body);
    object::<Cancelled>(body);
    object::<Closed>(body);
    object::<WorkerRecord>(body);
    object::<OutcomeHeader>(body);
}

fn reports(bytes: &[u8]) {
    bounded(bytes, |bytes| _ = read_report::<Fault>(bytes));
    bounded(bytes, |bytes| _ = read_report::<Failure>(bytes));
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..600)) {
        every_object(&bytes);
        reports(&bytes);
        bounded(&bytes, |bytes| _ = split_header(bytes));
        bounded(&bytes, |bytes| _ = split_frame(bytes));
        bounded(&bytes, |bytes| _ = split_input(bytes));
    }

    /// Lengths that promise more than there is, wherever a number may be one.
    #[test]
    fn false_lengths(at in any::<proptest::sample::Index>(), bits in 7..64_u32, reserve in 0..100_usize) {
        let mut length = postcard::to_allocvec(&(u64::MAX >> (64 - bits))).unwrap();
        length.extend(std::iter::repeat_n(0, reserve * 100));
        for (_, object) in golden::samples() {
            let body = &object[6..object.len() - 4];
            let at = at.index(body.len());
            every_object(&[&body[..at], &length, &body[at..]].concat());
        }
    }
}

#[test]
fn the_smallest_elements() {
    const MANY: usize = 1 << 20;
    let mut manifest = golden::manifest();
    manifest.homes = vec![Home::default(); MANY];
    bounded(&manifest.to_object(), |object| _ = Manifest::from_object(object));
    manifest.options.environment = vec![(Vec::new(), Vec::new()); MANY];
    bounded(&manifest.to_object(), |object| _ = Manifest::from_object(object));

    let mut closed = golden::closed();
    let FailureKind::Error { chain } = &mut closed.uncounted[0].kind else { panic!("the first is an error") };
    *chain = vec![String::new(); MANY];
    bounded(&closed.to_object(), |object| _ = Closed::from_object(object));
    let kind = closed.uncounted.remove(0).kind;
    reports(&write_report(&Fault::new(kind.clone(), "")));
    let stderr = vec![String::new(); MANY];
    let report = FailureReport { chunk: 0, attempt: 1, slot: None, kind, message: String::new(), stderr };
    reports(&write_report(&report));
}

#[test]
fn false_lengths_of_frames() {
    for bit in 0..32 {
        let length = (1_u32 << bit).to_le_bytes();
        bounded(&length, |bytes| _ = split_header(bytes));
        bounded(&[&[0], &length[..]].concat(), |bytes| _ = split_input(bytes));
        bounded(&[&[0; 13], &length[..], &[0; 4]].concat(), |bytes| _ = split_frame(bytes));
    }
}

/// An array header of MessagePack can promise 2^32 elements in five bytes.
#[test]
fn false_lengths_of_reports() {
    let promise = |field: &str| {
        let mut report = vec![0x81];
        report.extend(rmp_serde::to_vec(field).unwrap());
        report.extend([0xdd, 255, 255, 255, 255]);
        report
    };
    for field in ["stderr", "message", "kind", "unknown"] {
        reports(&promise(field));
    }
    let mut kind = vec![0x92, 0x81];
    kind.extend(rmp_serde::to_vec("Error").unwrap());
    kind.extend(promise("chain"));
    reports(&kind);
}

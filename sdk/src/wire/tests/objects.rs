//! What holds for every small object: it comes back, and nothing that is not it is taken for it.

use std::fmt::Debug;

use proptest::prelude::*;

use super::{any, cases};
use crate::wire::{Number, Stored, Trying, Unreadable};

/// The last byte of the header of every object.
const VERSION: usize = 5;

fn seal(mut object: Vec<u8>) -> Vec<u8> {
    let end = object.len() - 4;
    let checksum = crc32fast::hash(&object[..end]);
    object[end..].copy_from_slice(&checksum.to_le_bytes());
    object
}

fn with_byte(object: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut object = object.to_vec();
    object[at] = byte;
    object
}

fn comes_back<T: Stored + PartialEq + Debug>(value: T) {
    assert_eq!(T::from_object(&value.to_object()), Ok(value));
}

/// `flip` is not 0.
fn damage_is_refused<T: Stored + PartialEq + Debug>(value: &T, flip: u8) {
    let object = value.to_object();
    for at in 0..object.len() {
        let flipped = with_byte(&object, at, object[at] ^ flip);
        assert!(T::from_object(&flipped).is_err(), "byte {at} flipped by {flip}");
        assert!(T::from_object(&object[..at]).is_err(), "cut to {at} bytes");
    }
    let longer = seal([&object[..], &[0]].concat());
    let reason = T::from_object(&longer).unwrap_err().to_string();
    assert!(reason.contains("1 bytes are left over"), "{reason}");
}

fn strangers_are_refused_by_name<T: Stored + PartialEq + Debug>(value: &T) {
    let object = value.to_object();
    for newer in T::VERSION + 1..=u8::MAX {
        // Its checksum is wrong then: a newer version may have none.
        let reason = T::from_object(&with_byte(&object, VERSION, newer)).unwrap_err();
        assert_eq!(
            reason.to_string(),
            format!(
                "it is a {} of version {newer}, and this program reads versions up to {}; a newer one wrote it",
                T::KIND,
                T::VERSION,
            )
        );
    }
    let unborn = T::from_object(&seal(with_byte(&object, VERSION, 0))).unwrap_err();
    assert_eq!(unborn, Unreadable::damaged(T::KIND, "no version 0 was ever written"));
    for kind in (0..=u8::MAX).filter(|kind| *kind != T::KIND as u8) {
        let other = T::from_object(&seal(with_byte(&object, VERSION - 1, kind))).unwrap_err();
        assert_eq!(other, Unreadable::NotOurs { what: T::KIND.to_string() });
    }
}

macro_rules! objects {
    ($($name:ident: $values:expr;)*) => {
        proptest! {
            #![proptest_config(cases(48))]
            $(
                #[test]
                fn $name(value in $values, flip in 1..=u8::MAX) {
                    damage_is_refused(&value, flip);
                    strangers_are_refused_by_name(&value);
                    comes_back(value);
                }
            )*
        }
    };
}

objects! {
    manifests: any::manifests();
    claims: any::claims();
    notes_of_leaving: any::lefts();
    notes_of_trying: any::incarnations().prop_map(|incarnation| Trying { incarnation });
    claimed_numbers: any::incarnations().prop_map(|incarnation| Number { incarnation });
    notes_of_intent: any::intents();
    notes_of_submitted_jobs: any::submissions();
    notes_of_cancelling: any::cancellations();
    closing_notes: any::closings();
    worker_records: any::records();
    headers_of_outcomes: any::headers();
}

proptest! {
    #![proptest_config(cases(16))]

    #[test]
    fn odd_worker_records(record in any::records(), lost in 1..9_u32) {
        let mut stolen = record.clone();
        stolen.stolen = stolen.blocks.saturating_add(lost);
        stolen.blocks = stolen.stolen - lost;
        prop_assert!(refusal(&stolen).contains("blocks are stolen"));
        for at in 0..record.timeline.len() {
            let mut backwards = record.clone();
            backwards.timeline[at].start = u64::MAX;
            backwards.timeline[at].end = 7;
            prop_assert!(refusal(&backwards).ends_with("begins at 18446744073709551615 and ends at 7"));
            let mut failed = record.clone();
            failed.timeline[at].failed = 3;
            failed.timeline[at].chunks = 2;
            prop_assert!(refusal(&failed).ends_with("has 2 chunks, and 3 that failed"));
        }
    }
}

fn refusal<T: Stored + PartialEq + Debug>(value: &T) -> String {
    T::from_object(&value.to_object()).unwrap_err().to_string()
}

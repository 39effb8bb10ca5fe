//! What holds for frames behind each other: they come back one by one, damage is refused, and a missing end asks for more.

use proptest::{collection::vec, prelude::*};

use super::{any, cases};
use crate::{
    failure::{Failure, Fault},
    wire::{
        Codec, Unreadable,
        block::{Input, push_input, split_input},
        codec::{frame_length, read_report, write_report},
        outcome::{self, Body, Frame, frame_bytes, push_frame, push_header, split_frame, split_header},
    },
};

/// A frame that owns its value.
type Owned = ((Option<u16>, u16, u64), Result<(Codec, Vec<u8>), Failure>);

fn frames() -> impl Strategy<Value = Owned> {
    let values = (any::codecs(), vec(any::<u8>(), 0..40)).prop_map(Ok);
    let slots = proptest::option::of(0..u16::MAX);
    ((slots, any::<u16>(), any::<u64>()), prop_oneof![values, any::failures().prop_map(Err)])
}

fn borrow(owned: &Owned) -> Frame<'_> {
    let ((slot, attempt, elapsed_nanos), body) = owned;
    let body = match body {
        Ok((codec, value)) => Body::Value(*codec, value),
        Err(failure) => Body::Failed(failure.clone()),
    };
    Frame { slot: *slot, attempt: *attempt, elapsed_nanos: *elapsed_nanos, body }
}

fn input(of: &Result<(Codec, Vec<u8>), Fault>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let pushed = push_input(&mut bytes, |out| {
        let encoded = of.as_ref().map(|(codec, value)| {
            out.extend(value);
            *codec
        });
        Some(encoded.map_err(|fault| {
            out.extend(b"half a value");
            fault.clone()
        }))
    });
    assert!(pushed);
    bytes
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn outcomes(header in any::headers(), frames in vec(frames(), 0..4), flip in 1..=u8::MAX) {
        let mut object = Vec::new();
        push_header(&mut object, &header);
        let mut ends = vec![object.len()];
        for frame in &frames {
            push_frame(&mut object, &borrow(frame));
            ends.push(object.len());
        }

        let (read, mut rest) = split_header(&object).unwrap().unwrap();
        prop_assert_eq!(&read, &header);
        for (frame, end) in frames.iter().zip(&ends[1..]) {
            prop_assert_eq!(frame_bytes(rest), Some(rest.len() - (object.len() - end)));
            let (read, behind) = split_frame(rest).unwrap().unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{:?}", borrow(frame)));
            rest = behind;
        }
        prop_assert!(rest.is_empty());

        for cut in 0..ends[0] {
            prop_assert!(split_header(&object[..cut]).unwrap().is_none(), "header cut to {cut} bytes");
        }
        for at in 0..ends[0] {
            let mut flipped = object.clone();
            flipped[at] ^= flip;
            prop_assert!(!matches!(split_header(&flipped), Ok(Some(_))), "byte {at} flipped by {flip}");
        }
        for frame in ends.windows(2) {
            let whole = &object[frame[0]..];
            let bytes = frame[1] - frame[0];
            for cut in 0..bytes {
                prop_assert!(split_frame(&whole[..cut]).unwrap().is_none(), "frame cut to {cut} bytes");
            }
            for at in 0..bytes {
                let mut flipped = whole.to_vec();
                flipped[at] ^= flip;
                prop_assert!(!matches!(split_frame(&flipped), Ok(Some(_))), "byte {at} flipped by {flip}");
            }
        }
    }

    #[test]
    fn inputs(inputs in vec(prop_oneof![
        (any::codecs(), vec(any::<u8>(), 0..40)).prop_map(Ok),
        any::faults().prop_map(Err),
    ], 0..5)) {
        let encoded: Vec<_> = inputs.iter().map(input).collect();
        let object = encoded.concat();
        let mut rest = object.as_slice();
        for input in &inputs {
            let (read, behind) = split_input(rest).unwrap().unwrap();
            let expected = match input {
                Ok((codec, value)) => Input::Value(*codec, value),
                Err(fault) => Input::Refused(fault.clone()),
            };
            prop_assert_eq!(format!("{read:?}"), format!("{expected:?}"));
            rest = behind;
        }
        prop_assert!(split_input(rest).unwrap().is_none());

        for input in encoded {
            for cut in 1..input.len() {
                prop_assert!(split_input(&input[..cut]).is_err(), "cut to {cut} bytes");
            }
        }
    }

    #[test]
    fn unknown_encodings(tag in 2..255_u8) {
        let mut input = input(&Ok((Codec::Postcard, vec![1])));
        input[0] = tag;
        let refusal = split_input(&input).unwrap_err();
        let reason = format!("no input is encoded as {tag}");
        prop_assert_eq!(refusal, Unreadable::damaged("block of inputs", reason));

        let mut frame = vec![0; outcome::FRAME_HEADER];
        frame[0] = tag;
        let checksum = crc32fast::hash(&frame[..17]);
        frame[17..].copy_from_slice(&checksum.to_le_bytes());
        let refusal = split_frame(&frame).unwrap_err();
        let reason = format!("no value is encoded as {tag}");
        prop_assert_eq!(refusal, Unreadable::damaged("block of outcomes", reason));
    }

    #[test]
    fn reports_end_where_their_frames_end(fault in any::faults(), failure in any::failures(), byte in any::<u8>()) {
        let mut bytes = write_report(&fault);
        read_report::<Fault>(&bytes).unwrap();
        bytes.push(byte);
        prop_assert_eq!(read_report::<Fault>(&bytes).unwrap_err(), "1 bytes are left over");
        let mut bytes = write_report(&failure);
        read_report::<Failure>(&bytes).unwrap();
        bytes.push(byte);
        prop_assert_eq!(read_report::<Failure>(&bytes).unwrap_err(), "1 bytes are left over");
    }
}

#[test]
fn a_header_of_another_length() {
    // Not "more is needed": nobody waits for the end of what is not ours.
    assert_eq!(
        split_header(&5000_u32.to_le_bytes()),
        Err(Unreadable::NotOurs { what: "block of outcomes".into() })
    );
}

/// A thread may have little stack, and what is not a field of a report is skipped level by level.
#[test]
fn a_report_of_many_levels() {
    const LEVELS: usize = 1000;
    let mut report = b"\x81\xa1x".to_vec();
    report.extend([0x91; LEVELS]);
    report.push(0xc0);
    let read = move || read_report::<Failure>(&report).unwrap_err();
    let thread = std::thread::Builder::new().stack_size(128 << 10).spawn(read).unwrap();
    assert_eq!(thread.join().unwrap(), "depth limit exceeded");
}

#[test]
fn the_longest_frame() {
    assert_eq!(frame_length(u32::MAX as usize), [255; 4]);
}

#[test]
#[should_panic = "a frame is shorter than 4 GiB"]
fn a_longer_frame() {
    frame_length(1 << 32);
}

//! Old runs stay readable: one sample of each stored object, `golden/<object>.<version>`, is read to the values that are
//! written down here, and they are still written as the same bytes.
//!
//! A sample is never changed. Whoever raises a version adds a sample, and keeps a reader for the old one. A missing file is
//! written from the value.

use std::{fmt::Debug, fs, path::Path, time::Duration};

use crate::{
    failure::{Failure, FailureKind, FailureReport, Fault},
    wire::{
        block::{Input, push_input, split_input},
        outcome::{Body, Frame, OutcomeHeader, push_frame, push_header, split_frame, split_header},
        *,
    },
};

const NAMES: [&str; 14] = [
    "manifest",
    "claim",
    "left",
    "trying",
    "number",
    "intent",
    "submitted",
    "cancelled",
    "closed",
    "worker_record",
    "inputs",
    "outcomes",
    "keys",
    "location",
];

/// Every sample with its name.
pub(super) fn samples() -> Vec<(&'static str, Vec<u8>)> {
    NAMES.map(|name| (name, fs::read(path(name)).unwrap())).into()
}

fn path(name: &str) -> String {
    format!("{}/src/wire/golden/{name}.1", env!("CARGO_MANIFEST_DIR"))
}

/// The sample, which must be `written`.
fn sample(name: &str, written: &[u8]) -> Vec<u8> {
    let path = path(name);
    if !Path::new(&path).exists() {
        fs::write(&path, written).unwrap();
        panic!("`{path}` was missing and has been written: look at it, and commit it");
    }
    let sample = fs::read(&path).unwrap();
    assert!(sample == written, "`{name}` is written in another way than before");
    sample
}

fn object<T: Stored + PartialEq + Debug>(name: &str, value: &T) {
    let sample = sample(name, &value.to_object());
    assert_eq!(T::from_object(&sample).as_ref(), Ok(value));
}

fn incarnation() -> Incarnation {
    Incarnation::new(1_700_000_000_123, 0x1234_5678_9abc_def0_1234)
}

fn origin() -> Origin {
    Origin { job: "0f4c9b7e-1d2a-4c3b-8e5f-6a7b8c9d0e1f".into(), index: 7, attempt: 2 }
}

fn every_kind() -> Vec<FailureKind> {
    vec![
        FailureKind::Error { chain: vec!["the disk is full".into(), "os error 28".into()] },
        FailureKind::Panic { location: Some("src/main.rs:3:5".into()), backtrace: None },
        FailureKind::Exit { code: -1 },
        FailureKind::Abort,
        FailureKind::StackOverflow,
        FailureKind::Signal { number: 11 },
        FailureKind::Timeout { limit: Duration::from_millis(1_500) },
        FailureKind::UnencodableInput,
        FailureKind::UndecodableInput,
        FailureKind::UnencodableResult,
        FailureKind::UndecodableResult,
        FailureKind::InputTooLarge { limit: 1 << 28 },
        FailureKind::ResultTooLarge { limit: 1 << 28 },
        FailureKind::OutOfMemory,
        FailureKind::Lost,
        FailureKind::NoCapacity,
        FailureKind::Misconfigured,
        FailureKind::Cancelled,
    ]
}

pub(super) fn manifest() -> Manifest {
    let block = |first, chunks, part, start, byte| Block {
        first,
        chunks,
        part,
        start,
        bytes: 1000,
        hash: Hash([byte; 32]),
    };
    Manifest {
        run: RunId::new(1_700_000_000_000, 42),
        label: "täglich".into(),
        function: Function { id: u64::MAX, path: "demo::square".into(), output: "f64".into() },
        program: Program { hash: Hash([0xab; 32]), bytes: 5_000_000 },
        shared: Some(SharedData { codec: Codec::MessagePack, hash: Hash([0xcd; 32]) }),
        chunks: 111,
        homes: vec![
            Home { blocks: vec![block(0, 100, 0, 0, 1), block(100, 10, 0, 1000, 2)] },
            Home { blocks: vec![block(110, 1, 1, 1 << 40, 3)] },
        ],
        options: Options {
            slots: 4,
            timeout: Some(Duration::new(30, 5)),
            retries: 3,
            max_bytes: 256 << 20,
            chunks_per_slot: Some(1000),
            environment: vec![(b"RUST_LOG".into(), b"info".into()), (b"RAW".into(), vec![0xff, 0xfe])],
            worker_deadline: Duration::from_secs(86_400),
            attempts: 5,
            milli_vcpus: 4000,
            memory: 8192,
            repairs: 2,
            start_within: Duration::from_secs(900),
        },
    }
}

pub(super) fn closed() -> Closed {
    let uncounted = |(block, kind)| Uncounted { block, kind, reason: "for a reason".into() };
    Closed {
        at: 1_700_000_009_000,
        uncounted: (0..).zip(every_kind()).map(uncounted).collect(),
        cancelled: true,
    }
}

fn worker_record() -> WorkerRecord {
    WorkerRecord {
        incarnation: incarnation(),
        origin: origin(),
        started: 1_700_000_001_000,
        first_chunk: Some(250_000),
        ended: 9_000_000,
        slots: 4,
        timeline: vec![Span {
            chunk: 100,
            chunks: 10,
            slot: 3,
            start: 250_000,
            end: 300_000,
            busy: 49_000,
            processor: 48_000,
            peak_memory: 20_480,
            failed: 1,
        }],
        blocks: 3,
        stolen: 1,
        duplicates: 2,
        bytes_in: 3000,
        bytes_out: 4000,
        processor: 48_500,
        reason: "nothing was left".into(),
    }
}

#[test]
fn small_objects() {
    let incarnation = incarnation();
    object("manifest", &manifest());
    object("claim", &Claim { incarnation, origin: origin() });
    object("left", &Left { by: Leaver::Client, reason: "host terminated".into() });
    object("trying", &Trying { incarnation });
    object("number", &Number { incarnation });
    object("intent", &Intent { workers: 100, at: 1_700_000_000_500 });
    object("submitted", &Submitted { job: origin().job, workers: 100 });
    let kind = FailureKind::Cancelled;
    object("cancelled", &Cancelled { at: 1_700_000_008_000, kind, reason: "it went over its budget".into() });
    object("closed", &closed());
    object("worker_record", &worker_record());
}

#[test]
fn inputs() {
    let mut inputs = vec![Ok((Codec::Postcard, vec![1, 2, 3])), Ok((Codec::MessagePack, vec![]))];
    inputs.extend(every_kind().into_iter().map(|kind| Err(Fault::new(kind, "what happened"))));
    let mut written = Vec::new();
    for input in &inputs {
        let pushed = push_input(&mut written, |out| {
            Some(input.clone().map(|(codec, value)| {
                out.extend(value);
                codec
            }))
        });
        assert!(pushed);
    }
    let sample = sample("inputs", &written);
    let mut rest = sample.as_slice();
    for input in &inputs {
        let expected = match input {
            Ok((codec, value)) => Input::Value(*codec, value),
            Err(fault) => Input::Refused(fault.clone()),
        };
        let (read, behind) = split_input(rest).unwrap().unwrap();
        assert_eq!(format!("{read:?}"), format!("{expected:?}"));
        rest = behind;
    }
    assert!(split_input(rest).unwrap().is_none());
}

#[test]
fn outcomes() {
    let failure = |kind| -> Failure {
        let stderr = vec!["a line".into(), "another".into()];
        FailureReport { chunk: 5, attempt: 3, slot: Some(2), kind, message: "what happened".into(), stderr }
            .into()
    };
    let value = Body::Value(Codec::Postcard, &[9, 8, 7]);
    let mut frames = vec![Frame { slot: Some(3), attempt: 1, elapsed_nanos: 1_234_567_890_123, body: value }];
    frames.extend(every_kind().into_iter().map(|kind| Frame {
        slot: None,
        attempt: 0,
        elapsed_nanos: 0,
        body: Body::Failed(failure(kind)),
    }));
    let header = OutcomeHeader { block: 2, chunks: frames.len() as u32, incarnation: incarnation() };
    let mut written = Vec::new();
    push_header(&mut written, &header);
    frames.iter().for_each(|frame| push_frame(&mut written, frame));

    let sample = sample("outcomes", &written);
    let (read, mut rest) = split_header(&sample).unwrap().unwrap();
    assert_eq!(read, header);
    for frame in &frames {
        let (read, behind) = split_frame(rest).unwrap().unwrap();
        assert_eq!(format!("{read:?}"), format!("{frame:?}"));
        rest = behind;
    }
    assert!(rest.is_empty());
}

#[test]
fn keys() {
    let keys = Keys::of(RunId::new(0, 0));
    let incarnation = incarnation();
    let every = [
        crate::wire::keys::program(&Hash([0xab; 32])),
        keys.shared(),
        keys.part(2),
        keys.manifest(),
        keys.intent(1, 2),
        keys.submitted(1),
        keys.number(7),
        keys.claim(12, 3),
        keys.left(incarnation),
        keys.trying(0, 1, 2),
        keys.out(12),
        keys.worker(incarnation),
        keys.cancelled(),
        keys.closed(),
    ];
    sample("keys", (every.join("\n") + "\n").as_bytes());
}

#[test]
fn location() {
    let location = Location {
        store: StoreLocation::Dir("/var/mock runs/#1".into()),
        run: RunId::new(1_700_000_000_000, 42),
    };
    let sample = sample("location", location.to_string().as_bytes());
    assert_eq!(str::from_utf8(&sample).unwrap().parse(), Ok(location));
}

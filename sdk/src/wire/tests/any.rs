//! Arbitrary contents for every stored type.

use std::time::Duration;

use proptest::{collection::vec, option, prelude::*};

use crate::{
    failure::{Failure, FailureKind, FailureReport, Fault},
    names::MAX_BYTES_LIMIT,
    wire::{outcome::OutcomeHeader, *},
};

pub(super) fn codecs() -> impl Strategy<Value = Codec> + Clone {
    prop_oneof![Just(Codec::Postcard), Just(Codec::MessagePack)]
}

pub(super) fn runs() -> impl Strategy<Value = RunId> {
    any::<(u64, u128)>().prop_map(|(wall, random)| RunId::new(wall, random))
}

pub(super) fn incarnations() -> impl Strategy<Value = Incarnation> {
    any::<(u64, u128)>().prop_map(|(wall, random)| Incarnation::new(wall, random))
}

pub(super) fn hashes() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn origins() -> impl Strategy<Value = Origin> {
    any::<(String, u32, u32)>().prop_map(|(job, index, attempt)| Origin { job, index, attempt })
}

pub(super) fn claims() -> impl Strategy<Value = Claim> {
    (incarnations(), origins()).prop_map(|(incarnation, origin)| Claim { incarnation, origin })
}

pub(super) fn lefts() -> impl Strategy<Value = Left> {
    let leavers = prop_oneof![Just(Leaver::Itself), Just(Leaver::Successor), Just(Leaver::Client)];
    (leavers, any::<String>()).prop_map(|(by, reason)| Left { by, reason })
}

pub(super) fn intents() -> impl Strategy<Value = Intent> {
    any::<(u32, u64)>().prop_map(|(workers, at)| Intent { workers, at })
}

pub(super) fn submissions() -> impl Strategy<Value = Submitted> {
    any::<(String, u32)>().prop_map(|(job, workers)| Submitted { job, workers })
}

pub(super) fn cancellations() -> impl Strategy<Value = Cancelled> {
    (any::<(u64, String)>(), kinds()).prop_map(|((at, reason), kind)| Cancelled { at, kind, reason })
}

pub(super) fn kinds() -> impl Strategy<Value = FailureKind> {
    prop_oneof![
        vec(any::<String>(), 0..3).prop_map(|chain| FailureKind::Error { chain }),
        any::<(Option<String>, Option<String>)>()
            .prop_map(|(location, backtrace)| FailureKind::Panic { location, backtrace }),
        any::<i32>().prop_map(|code| FailureKind::Exit { code }),
        any::<i32>().prop_map(|number| FailureKind::Signal { number }),
        any::<Duration>().prop_map(|limit| FailureKind::Timeout { limit }),
        any::<u64>().prop_map(|limit| FailureKind::InputTooLarge { limit }),
        any::<u64>().prop_map(|limit| FailureKind::ResultTooLarge { limit }),
        proptest::sample::select(vec![
            FailureKind::Abort,
            FailureKind::StackOverflow,
            FailureKind::UnencodableInput,
            FailureKind::UndecodableInput,
            FailureKind::UnencodableResult,
            FailureKind::UndecodableResult,
            FailureKind::OutOfMemory,
            FailureKind::Lost,
            FailureKind::NoCapacity,
            FailureKind::Misconfigured,
            FailureKind::Cancelled,
        ]),
    ]
}

pub(super) fn closings() -> impl Strategy<Value = Closed> {
    let uncounted = (any::<u32>(), kinds(), any::<String>()).prop_map(|(block, kind, reason)| Uncounted {
        block,
        kind,
        reason,
    });
    (any::<u64>(), vec(uncounted, 0..4), any::<bool>()).prop_map(|(at, uncounted, cancelled)| Closed {
        at,
        uncounted,
        cancelled,
    })
}

fn spans() -> impl Strategy<Value = Span> {
    (any::<[u64; 6]>(), any::<[u32; 3]>()).prop_map(
        |([chunk, one, other, busy, processor, peak_memory], [slot, few, many])| Span {
            chunk,
            chunks: few.max(many),
            slot,
            start: one.min(other),
            end: one.max(other),
            busy,
            processor,
            peak_memory,
            failed: few.min(many),
        },
    )
}

pub(super) fn records() -> impl Strategy<Value = WorkerRecord> {
    let numbers = (any::<Option<u64>>(), any::<[u64; 5]>(), any::<[u32; 4]>());
    (incarnations(), origins(), numbers, vec(spans(), 0..4), any::<String>()).prop_map(
        |(incarnation, origin, (first_chunk, times, counts), timeline, reason)| {
            let [started, ended, bytes_in, bytes_out, processor] = times;
            let [slots, one, other, duplicates] = counts;
            WorkerRecord {
                incarnation,
                origin,
                started,
                first_chunk,
                ended,
                slots,
                timeline,
                blocks: one.max(other),
                stolen: one.min(other),
                duplicates,
                bytes_in,
                bytes_out,
                processor,
                reason,
            }
        },
    )
}

pub(super) fn headers() -> impl Strategy<Value = OutcomeHeader> {
    (any::<(u32, u32)>(), incarnations()).prop_map(|((block, chunks), incarnation)| OutcomeHeader {
        block,
        chunks,
        incarnation,
    })
}

pub(super) fn faults() -> impl Strategy<Value = Fault> {
    (kinds(), any::<String>()).prop_map(|(kind, message)| Fault::new(kind, message))
}

pub(super) fn failures() -> impl Strategy<Value = Failure> {
    (any::<(usize, u32, Option<usize>)>(), kinds(), any::<String>(), vec(any::<String>(), 0..4)).prop_map(
        |((chunk, attempt, slot), kind, message, stderr)| {
            FailureReport { chunk, attempt, slot, kind, message, stderr }.into()
        },
    )
}

fn options() -> impl Strategy<Value = Options> {
    let counts =
        (1..=u32::MAX, any::<u32>(), 1..=MAX_BYTES_LIMIT, option::of(1..=u64::MAX), 1..=10_u8, 0..=998_u32);
    let variable = (vec(1..=b'<', 1..9), vec(1..=u8::MAX, 0..9));
    let times = any::<(Option<Duration>, Duration, Duration)>();
    (counts, vec(variable, 0..4), times, 1..=u32::MAX, 1..=u32::MAX).prop_map(
        |(counts, environment, (timeout, worker_deadline, start_within), milli_vcpus, memory)| {
            let (slots, retries, max_bytes, chunks_per_slot, attempts, repairs) = counts;
            Options {
                slots,
                timeout,
                retries,
                max_bytes,
                chunks_per_slot,
                environment,
                worker_deadline,
                attempts,
                milli_vcpus,
                memory,
                repairs,
                start_within,
            }
        },
    )
}

fn homes() -> impl Strategy<Value = Vec<Home>> {
    let block = (1..=u32::MAX, 0..1_000_000_u32, any::<(u32, u64)>(), hashes()).prop_map(
        |(chunks, part, (beyond, start), hash)| {
            let bytes = u64::from(chunks) * 5 + u64::from(beyond);
            Block { first: 0, chunks, part, start: start.min(u64::MAX - bytes), bytes, hash }
        },
    );
    let home = vec(block, 0..4).prop_map(|blocks| Home { blocks });
    vec(home, 1..4).prop_map(|mut homes| {
        let mut next = 0;
        for block in homes.iter_mut().flat_map(|home| &mut home.blocks) {
            block.first = next;
            next += u64::from(block.chunks);
        }
        homes
    })
}

pub(super) fn manifests() -> impl Strategy<Value = Manifest> {
    let function =
        any::<(u64, String, String)>().prop_map(|(id, path, output)| Function { id, path, output });
    let program = (hashes(), any::<u64>()).prop_map(|(hash, bytes)| Program { hash, bytes });
    let shared = option::of((codecs(), hashes()).prop_map(|(codec, hash)| SharedData { codec, hash }));
    (runs(), any::<String>(), function, program, shared, homes(), options()).prop_map(
        |(run, label, function, program, shared, homes, options)| {
            let chunks =
                homes.iter().flat_map(|home| &home.blocks).map(|block| u64::from(block.chunks)).sum();
            Manifest { run, label, function, program, shared, chunks, homes, options }
        },
    )
}

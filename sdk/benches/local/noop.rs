//! A million chunks that cost nothing: what the machinery itself takes, with attribution on.

use crate::support::{pairs, timed};

const CHUNKS: u64 = 1_000_000;

pub(crate) fn run() {
    let streamed = || {
        timed(|| {
            let sum: u64 = cloud::map(|x: u64| x, 0..CHUNKS)
                .slots(2)
                .iter()
                .map(|value| value.unwrap().unwrap().1)
                .sum();
            assert_eq!(sum, CHUNKS * (CHUNKS - 1) / 2);
        }) / CHUNKS as u32
    };
    let codec = || {
        timed(|| {
            let mut bytes = Vec::new();
            for x in 0..CHUNKS {
                bytes.clear();
                for _ in 0..2 {
                    bytes = postcard::to_extend(&x, bytes).unwrap();
                }
                assert_eq!(postcard::from_bytes::<u64>(&bytes).unwrap(), x);
                assert_eq!(postcard::from_bytes::<u64>(&bytes[bytes.len() / 2..]).unwrap(), x);
            }
        }) / CHUNKS as u32
    };
    pairs("a chunk, two slots", "at most 100 ns", 9, streamed, "codec alone, both ways", codec);
    let collected = || {
        timed(|| {
            let values = cloud::map(|x: u64| x, 0..CHUNKS).slots(2).wait().unwrap();
            assert_eq!(values.len() as u64, CHUNKS);
        }) / CHUNKS as u32
    };
    pairs("a chunk, all gathered", "none", 9, collected, "codec alone, both ways", codec);
}

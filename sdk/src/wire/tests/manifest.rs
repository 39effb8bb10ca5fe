//! A manifest that makes no sense is refused, and the text says why.

use proptest::prelude::*;

use super::{any, cases};
use crate::wire::{Block, Hash, Home, Manifest, Options, Stored};

/// What a reader says of `sound` after `change`.
fn refusal(sound: &Manifest, change: impl FnOnce(&mut Manifest)) -> String {
    let mut changed = sound.clone();
    change(&mut changed);
    let text = Manifest::from_object(&changed.to_object()).unwrap_err().to_string();
    text.strip_prefix("it is a damaged manifest: ").unwrap().to_string()
}

/// Two blocks of three and two chunks, one in each home.
fn homes() -> Vec<Home> {
    let block = |first, chunks| Block { first, chunks, part: 0, start: 100, bytes: 15, hash: Hash([0; 32]) };
    [block(0, 3), block(3, 2)].map(|block| Home { blocks: vec![block] }).into()
}

proptest! {
    #![proptest_config(cases(16))]

    #[test]
    fn blocks(mut sound in any::manifests()) {
        sound.homes = homes();
        sound.chunks = 5;
        let refusal = |change: &dyn Fn(&mut Manifest)| refusal(&sound, change);
        let second = |change: &dyn Fn(&mut Block)| {
            refusal(&|manifest| change(&mut manifest.homes[1].blocks[0]))
        };

        prop_assert_eq!(refusal(&|manifest| manifest.chunks = 6), "its blocks have 5 chunks, and it has 6");
        prop_assert_eq!(refusal(&|manifest| manifest.homes.clear()), "it has 0 homes for 5 chunks");
        prop_assert_eq!(
            refusal(&|manifest| manifest.homes.resize(10_001, Home::default())),
            "it has 10001 homes for 5 chunks"
        );
        prop_assert_eq!(second(&|block| block.first = 4), "block 1 begins at chunk 4, where 3 is next");
        prop_assert_eq!(second(&|block| block.first = 2), "block 1 begins at chunk 2, where 3 is next");
        prop_assert_eq!(second(&|block| block.chunks = 0), "block 1 is empty");
        prop_assert_eq!(second(&|block| block.chunks = 1), "its blocks have 4 chunks, and it has 5");
        prop_assert_eq!(
            second(&|block| block.part = 1_000_000),
            "block 1 is in part 1000000, and there are at most 1000000"
        );
        prop_assert_eq!(second(&|block| block.bytes = 9), "block 1 has 9 bytes, too few for 2 chunks");
        prop_assert_eq!(
            second(&|block| block.start = u64::MAX - 14),
            "block 1 has 15 bytes from 18446744073709551601 on, beyond the largest number"
        );
    }

    #[test]
    fn options(sound in any::manifests()) {
        let options = |change: &dyn Fn(&mut Options)| {
            refusal(&sound, |manifest| change(&mut manifest.options))
        };
        let variables = [("A", "B"), ("", ""), ("A=B", ""), ("A\0", ""), ("TOKEN", "secret\0")];
        for (name, value) in &variables[1..] {
            let pairs = [variables[0], (*name, *value)].map(|(name, value)| (name.into(), value.into()));
            prop_assert_eq!(
                options(&|options| options.environment = pairs.to_vec()),
                "variable 1 of `environment` is none that a process takes"
            );
        }

        prop_assert_eq!(options(&|options| options.slots = 0), "`slots` is 0, and not from 1 to 4294967295");
        prop_assert_eq!(
            options(&|options| options.max_bytes = 0),
            "`max_bytes` is 0, and not from 1 to 4293918719"
        );
        prop_assert_eq!(
            options(&|options| options.max_bytes = 1 << 32),
            "`max_bytes` is 4294967296, and not from 1 to 4293918719"
        );
        prop_assert_eq!(
            options(&|options| options.chunks_per_slot = Some(0)),
            "`chunks_per_slot` is 0, and not from 1 to 18446744073709551615"
        );
        prop_assert_eq!(options(&|options| options.attempts = 0), "`attempts` is 0, and not from 1 to 10");
        prop_assert_eq!(options(&|options| options.attempts = 11), "`attempts` is 11, and not from 1 to 10");
        prop_assert_eq!(
            options(&|options| options.milli_vcpus = 0),
            "`milli_vcpus` is 0, and not from 1 to 4294967295"
        );
        prop_assert_eq!(options(&|options| options.memory = 0), "`memory` is 0, and not from 1 to 4294967295");
        prop_assert_eq!(options(&|options| options.repairs = 999), "`repairs` is 999, and not from 0 to 998");
    }
}

#[test]
fn too_many_blocks() {
    let mut next = 0..;
    let block =
        || Block { first: next.next().unwrap(), chunks: 1, part: 0, start: 0, bytes: 5, hash: Hash([0; 32]) };
    let mut manifest = super::golden::manifest();
    manifest.homes = vec![Home { blocks: std::iter::repeat_with(block).take(1_000_000).collect() }];
    manifest.chunks = 1_000_000;
    assert_eq!(manifest.check(), Ok(()));
    manifest.homes.push(Home { blocks: vec![Block { first: 1_000_000, ..manifest.homes[0].blocks[0] }] });
    assert_eq!(manifest.check(), Err("it has more than 1000000 blocks".into()));
}

#[test]
fn a_run_without_chunks_needs_no_home() {
    let mut manifest = super::golden::manifest();
    manifest.chunks = 0;
    manifest.homes.clear();
    assert_eq!(Manifest::from_object(&manifest.to_object()), Ok(manifest));
}

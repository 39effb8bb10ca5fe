//! Keys say what they mean, alone, and in the order of their numbers.

use proptest::prelude::*;

use super::{any, cases};
use crate::{
    testing,
    wire::{Hash, Incarnation, Keys, Location, RoundKey, RunId, StoreLocation},
};

fn blocks() -> impl Strategy<Value = u32> {
    0..1_000_000_u32
}

/// Rounds, generations, attempts.
fn small() -> impl Strategy<Value = u32> {
    0..1_000_u32
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn every_key_is_read_back(
        run in any::runs(),
        incarnation in any::incarnations(),
        (block, generation, chunk) in any::<(u32, u32, u32)>(),
    ) {
        let keys = Keys::of(run);
        prop_assert_eq!(keys.parse_claim(&keys.claim(block, generation)), Some((block, generation)));
        prop_assert_eq!(keys.parse_left(&keys.left(incarnation)), Some(incarnation));
        prop_assert_eq!(
            keys.parse_trying(block, &keys.trying(block, generation, chunk)),
            Some((generation, chunk))
        );
        prop_assert_eq!(keys.parse_out(&keys.out(block)), Some(block));
        prop_assert_eq!(
            keys.parse_round(&keys.intent(block, generation)),
            Some((block, RoundKey::Intent(generation)))
        );
        prop_assert_eq!(keys.parse_round(&keys.submitted(block)), Some((block, RoundKey::Submitted)));
        prop_assert_eq!(run.to_string().parse::<RunId>().unwrap(), run);
        prop_assert_eq!(run.to_string().to_uppercase().parse::<RunId>().unwrap(), run);
        prop_assert_eq!(incarnation.to_string().parse::<Incarnation>().unwrap(), incarnation);
    }

    #[test]
    fn foreign_keys_are_not_read(
        run in any::runs(),
        other in any::runs(),
        incarnation in any::incarnations(),
        (block, generation, chunk) in (blocks(), small(), 0..9_u32),
        at in any::<proptest::sample::Index>(),
        letter in prop_oneof![Just('0'), Just('+'), Just('/'), Just('.'), Just('x'), any::<char>()],
    ) {
        prop_assume!(run != other);
        let keys = Keys::of(run);
        let made = |keys: &Keys| [
            keys.claim(block, generation),
            keys.left(incarnation),
            keys.trying(block, generation, chunk),
            keys.out(block),
            keys.intent(generation, chunk),
            keys.submitted(generation),
        ];
        let read = |key: &str| [
            keys.parse_claim(key).is_some(),
            keys.parse_left(key).is_some(),
            keys.parse_trying(block, key).is_some(),
            keys.parse_out(key).is_some(),
            keys.parse_round(key).is_some(),
        ];
        for key in made(&Keys::of(other)) {
            prop_assert_eq!(read(&key), [false; 5], "{} is of another run", key);
        }
        for key in made(&keys) {
            prop_assert_eq!(read(&key).iter().filter(|read| **read).count(), 1, "{}", key);
            let mut changed = key.clone();
            changed.insert(at.index(key.len()), letter);
            testing::wire::keys(changed.replace(&run.to_string(), &RunId::new(0, 0).to_string()).as_bytes());
        }
        prop_assert_eq!(keys.parse_trying(block ^ 1, &keys.trying(block, generation, chunk)), None);
    }

    #[test]
    fn keys_sort_as_their_numbers_do(
        run in any::runs(),
        claims in [(blocks(), small()), (blocks(), small())],
        (one, other) in (any::runs(), any::runs()),
        chunks in any::<[u32; 2]>(),
    ) {
        let keys = Keys::of(run);
        let [first, second] = claims;
        let (block, generation) = first;
        prop_assert_eq!(
            keys.claim(first.0, first.1).cmp(&keys.claim(second.0, second.1)),
            first.cmp(&second)
        );
        prop_assert_eq!(
            keys.claim(block, generation).cmp(&keys.claim(block, second.1)),
            generation.cmp(&second.1)
        );
        prop_assert_eq!(keys.out(first.0).cmp(&keys.out(second.0)), first.0.cmp(&second.0));
        prop_assert_eq!(keys.part(first.0).cmp(&keys.part(second.0)), first.0.cmp(&second.0));
        prop_assert_eq!(keys.number(first.1).cmp(&keys.number(second.1)), first.1.cmp(&second.1));
        prop_assert_eq!(
            keys.trying(block, first.1, chunks[0]).cmp(&keys.trying(block, second.1, chunks[1])),
            (first.1, chunks[0]).cmp(&(second.1, chunks[1]))
        );
        prop_assert_eq!(
            keys.intent(first.1, first.0 % 1000).cmp(&keys.intent(second.1, second.0 % 1000)),
            (first.1, first.0 % 1000).cmp(&(second.1, second.0 % 1000))
        );
        prop_assert_eq!(one.to_string().cmp(&other.to_string()), one.cmp(&other));
        // All claims of a block, and none of an earlier one, come after this.
        prop_assert_eq!(keys.claim(second.0, second.1) > keys.before_claims_of(block), second.0 >= block);
    }

    #[test]
    fn locations(run in any::runs(), folder in ".+", hash in any::hashes()) {
        let location = Location { store: StoreLocation::Dir(folder), run };
        prop_assert_eq!(location.to_string().parse(), Ok(location));
        prop_assert_eq!(Hash::parse(&hash.to_string()), Some(hash));
    }

    #[test]
    fn any_text(text in any::<String>(), key in "[0-9a-z+./#:]{0,70}") {
        for text in [text, key] {
            testing::wire::keys(text.as_bytes());
            testing::wire::location(text.as_bytes());
            _ = text.parse::<RunId>();
            _ = text.parse::<Incarnation>();
        }
    }
}

#[test]
fn every_key_is_one_that_stores_take() {
    let keys = Keys::of(RunId::new(u64::MAX, u128::MAX));
    let incarnation = Incarnation::new(u64::MAX, u128::MAX);
    let most = u32::MAX;
    let every = [
        crate::wire::keys::program(&Hash([255; 32])),
        keys.part(most),
        keys.shared(),
        keys.manifest(),
        keys.intent(most, most),
        keys.submitted(most),
        keys.number(most),
        keys.claim(most, most),
        keys.left(incarnation),
        keys.trying(most, most, most),
        keys.out(most),
        keys.worker(incarnation),
        keys.cancelled(),
        keys.closed(),
    ];
    for key in every {
        let taken = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        assert!(key.len() <= 512 && key.bytes().all(taken), "{key}");
        assert!(!key.starts_with('/') && !key.ends_with('/') && !key.contains("//"), "{key}");
    }
}

#[test]
fn what_only_looks_like_ours() {
    let keys = Keys::of(RunId::new(0, 0));
    let root = keys.manifest().replace("manifest", "");
    for claim in
        ["+00001.000", "1.0", "0000001.000", "000001.0", "000001", "000001.000.0", "000001.-1", "000001."]
    {
        assert_eq!(keys.parse_claim(&format!("{root}claims/{claim}")), None, "{claim}");
    }
    for out in ["+00001", "1", "0000001", "000001/", "99999999999"] {
        assert_eq!(keys.parse_out(&format!("{root}out/{out}")), None, "{out}");
    }
    for round in ["1/submitted", "001/submitted/", "001/intent.1", "001/intent.", "+01/intent.001", "001/"] {
        assert_eq!(keys.parse_round(&format!("{root}rounds/{round}")), None, "{round}");
    }
    for trying in ["000000.0.0000000000", "000000.000.0", "000000.000", "000000.000.+000000001"] {
        assert_eq!(keys.parse_trying(0, &format!("{root}trying/{trying}")), None, "{trying}");
    }
    // Another case, letters that stand for digits, a number of more than 128 bits.
    for id in ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "0l000000000000000000000000", "80000000000000000000000000"] {
        assert_eq!(keys.parse_left(&format!("{root}left/{id}")), None, "{id}");
    }
    for id in ["0l000000000000000000000000", "80000000000000000000000000", "", "0"] {
        assert!(id.parse::<RunId>().is_err(), "{id}");
    }
    for hash in ["+f".repeat(32), "FF".repeat(32), "ff".repeat(31), "é".repeat(32), "ff".repeat(33)] {
        assert_eq!(Hash::parse(&hash), None, "{hash}");
    }
    let run = RunId::new(0, 0);
    for location in [format!("dir:#{run}"), format!("/a#{run}"), "dir:/a".into(), "dir:/a#".into()] {
        assert_eq!(
            location.parse::<Location>().unwrap_err(),
            format!("`{location}` names no run: `dir:<folder>#<run>` does")
        );
    }
}

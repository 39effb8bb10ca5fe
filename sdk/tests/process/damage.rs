//! Objects that are not as they were written: named errors, no hang, no wrong value.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{
    bare::{Bare, DIR_HEADER, hash_of, put},
    client::{Client, Part, Plan, Said, said_here},
    place::{Place, Scratch},
    scene::prepared,
};

const SOON: Duration = Duration::from_secs(20);

/// Changes an object's bytes in its file, which stays a whole one.
fn damage(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let whole = fs::read(file).unwrap();
    let mut object = whole[DIR_HEADER..].to_vec();
    change(&mut object);
    let length = (object.len() as u64).to_le_bytes();
    fs::write(file, [&whole[..24], &length, &object].concat()).unwrap();
}

type Spoil = fn(&mut Vec<u8>);

fn attach(plan: &Plan) -> Said {
    let part = Part::Attach { run: plan.place.run().unwrap() };
    said_here(plan, &part, SOON).unwrap_or_else(|| panic!("no word\n{}", plan.place.story()))
}

/// A run that is done.
fn done(chunks: u64) -> (Scratch, Plan) {
    let scratch = Scratch::new();
    let plan = Plan::new(scratch.place(), chunks, 2);
    let said = Client::start(&plan, &Part::Run, 0).said_within(SOON);
    assert_eq!(said, Some(Said::Values(plan.values())), "{}", plan.place.story());
    (scratch, plan)
}

fn assert_unreadable(said: &Said, words: &[&str]) {
    let Said::Error(text) = said else { panic!("{said:?}") };
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

/// Submits a run whose inputs are not as they were planned: its workers say so, and nothing is computed.
fn assert_misfit(spoil: fn(&Place)) {
    let (scratch, plan) = prepared(|plan| plan.workers = 2);
    let place = scratch.place();
    spoil(&place);
    let part = Part::Submit { run: place.run().unwrap() };
    let said = Client::start(&plan, &part, 1).said_within(SOON);
    let Some(Said::Failed(failed)) = said else { panic!("{said:?}\n{}", place.story()) };
    assert_eq!(failed.len(), 16, "{failed:?}");
    for (_, kind, message) in &failed {
        assert_eq!(kind, "Misconfigured", "{message}");
        assert!(message.contains("in/000000"), "{message}");
    }
    assert_eq!(place.jobs().len(), 1, "no round repairs that: {}", place.story());
    let job: Value = serde_json::from_slice(&fs::read(&place.jobs()[0]).unwrap()).unwrap();
    for worker in job["workers"].as_array().unwrap() {
        let ended = (&worker["exit_code"], &worker["attempts"]);
        // One that the client terminated meanwhile has no say.
        let first = (ended.0 == &json!(78)) || worker["reason"].as_str() != Some("");
        assert!(first && ended.1 == &json!(1), "{worker}");
    }
    assert!(!place.begun_any());
    assert!(place.is_left_within(SOON));
}

#[test]
fn inputs_of_other_bytes() {
    assert_misfit(|place| {
        damage(&place.object("in/000000"), |object| object.iter_mut().for_each(|byte| *byte ^= 1));
    });
}

#[test]
fn inputs_that_are_cut_short() {
    assert_misfit(|place| damage(&place.object("in/000000"), |object| object.truncate(5)));
}

#[test]
fn inputs_whose_file_is_cut_short() {
    assert_misfit(|place| {
        let file = place.object("in/000000");
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    });
}

#[test]
fn inputs_that_are_gone() {
    assert_misfit(|place| fs::remove_file(place.object("in/000000")).unwrap());
}

#[test]
fn outcomes_of_other_bytes_or_too_few() {
    let (_scratch, plan) = done(64);
    let file = plan.place.object("out/000001");
    let whole = fs::read(&file).unwrap();
    let length = whole.len() - DIR_HEADER;
    for at in [0, 2, 5, 40, length - 1] {
        damage(&file, |object| object[at] ^= 16);
        assert_unreadable(&attach(&plan), &["block of outcomes"]);
        fs::write(&file, &whole).unwrap();
    }
    for cut in [1, 20, length - 3] {
        damage(&file, |object| object.truncate(length - cut));
        assert_unreadable(&attach(&plan), &["block of outcomes"]);
        fs::write(&file, &whole).unwrap();
    }
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    assert_unreadable(&attach(&plan), &["out/000001"]);
    fs::remove_file(&file).unwrap();
    assert_unreadable(&attach(&plan), &["out/000001"]);
    fs::write(&file, &whole).unwrap();
    // Another block's outcomes in this one's place.
    fs::copy(plan.place.object("out/000000"), &file).unwrap();
    assert_unreadable(&attach(&plan), &["out/000001", "it is of block 0"]);
    fs::write(&file, &whole).unwrap();
    assert_eq!(attach(&plan), Said::Values(plan.values()));
}

#[test]
fn a_damaged_manifest_and_a_newer_one() {
    let (scratch, plan) = prepared(|_| {});
    let place = scratch.place();
    put(&place, "rounds/000/intent.000");
    let file = place.object("manifest");
    let whole = fs::read(&file).unwrap();
    let planned = hash_of(&whole[DIR_HEADER..]);
    let spoiled: [(Spoil, &str); 4] = [
        (|object| object[30] ^= 1, "checksum"),
        (|object| object.truncate(50), "checksum"),
        (|object| object[5] = 2, "a newer one wrote it"),
        (|object| object[0] = b'x', "it is not a manifest"),
    ];
    for (spoil, words) in spoiled {
        damage(&file, spoil);
        assert_unreadable(&attach(&plan), &["manifest", words]);
        let spoiled = hash_of(&fs::read(&file).unwrap()[DIR_HEADER..]);
        // Whatever it was told: the hash of what was planned, or of what is there.
        for hash in [&planned, &spoiled] {
            assert_eq!(Bare::told(&place, "job", 1, hash).code_within(SOON), Some(78), "{}", place.story());
        }
        fs::write(&file, &whole).unwrap();
    }
    assert!(place.keys("claims").is_empty() && !place.begun_any());
}

#[test]
fn a_damaged_note_of_a_round() {
    let (scratch, plan) = prepared(|_| {});
    let place = scratch.place();
    put(&place, "rounds/000/submitted");
    assert_unreadable(&attach(&plan), &["rounds/000/submitted", "it is not a note of a submitted job"]);
    assert_eq!(Bare::start(&place, "job", 1).code_within(SOON), Some(78), "{}", place.story());
}

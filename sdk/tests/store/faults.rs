//! Faults, and what may be believed in spite of them.

use std::{collections::BTreeSet, time::Duration};

use cloud::store::{
    Created, Fault, Faulty, Memory, Odds, Operation, Retrying, Store, StoreErrorKind, WriteId,
};
use smol::block_on;

use crate::support::create;

/// Two writers of one key, few attempts, many faults: whatever is said must be true, also when every late write has arrived.
#[test]
fn what_a_write_is_told_is_true() {
    let mut told = BTreeSet::new();
    for seed in 0..4000 {
        let memory = Memory::new();
        let faulty = Faulty::new(memory.clone(), seed, Odds::each(0.2));
        let store = Retrying::new(faulty.clone()).attempts(3).pauses(Duration::ZERO, Duration::ZERO);
        let answers = block_on(async {
            let writes = [1, 2].map(|id| store.create("key", vec![id as u8].into(), WriteId(id)));
            let answers = futures::future::join_all(writes).await;
            faulty.settle().await;
            answers
        });
        let winner = block_on(memory.head("key")).unwrap();
        for (id, answer) in (1..).zip(answers) {
            let mine = winner == Some(WriteId(id));
            match &answer {
                Ok(Created::Yes) => assert!(mine, "seed {seed}: write {id} was told `Yes`, {winner:?} won"),
                Ok(Created::Exists) => {
                    assert!(
                        winner.is_some() && !mine,
                        "seed {seed}: write {id} was told `Exists`, {winner:?} won"
                    );
                }
                Ok(Created::Unknown) => {}
                Err(error) => {
                    assert_eq!(error.kind, StoreErrorKind::Conflict, "seed {seed}");
                    assert!(!mine, "seed {seed}: write {id} was told `{error}`, and has won");
                }
            }
            told.insert(format!("{:?}, {mine}", answer.map_err(|error| error.kind)));
        }
    }
    let all = [
        "Err(Conflict), false",
        "Ok(Exists), false",
        "Ok(Unknown), false",
        "Ok(Unknown), true",
        "Ok(Yes), true",
    ];
    assert_eq!(told.iter().collect::<Vec<_>>(), all, "every answer was met");
}

#[test]
fn the_same_seed_gives_the_same_faults() {
    let counts = |seed| {
        let store = Faulty::new(Memory::new(), seed, Odds::each(0.1));
        let mut answers = Vec::new();
        block_on(async {
            for number in 0..300 {
                let key = format!("key/{}", number % 100);
                answers.push(format!("{:?}", store.create(&key, "body".into(), WriteId(number)).await));
                answers.push(format!("{:?}", store.get(&key, None).await));
                answers.push(format!("{:?}", store.head(&key).await));
                answers.push(format!("{:?}", store.list("key/", "").await));
                answers.push(format!("{:?}", store.folders("", "").await));
            }
        });
        (answers, store.counts())
    };
    assert_eq!(counts(1), counts(1));
    assert_ne!(counts(1), counts(2));
    let met: Vec<(Operation, Fault)> = counts(1).1.into_keys().collect();
    let reads = [Operation::Get, Operation::Head, Operation::List, Operation::Folders];
    let mut all: Vec<(Operation, Fault)> = [Fault::Unsent, Fault::ReplyLost, Fault::Late, Fault::Conflict]
        .map(|fault| (Operation::Create, fault))
        .into();
    all.extend(reads.iter().flat_map(|read| [(*read, Fault::Unsent), (*read, Fault::ReplyLost)]));
    assert_eq!(met, all, "each operation meets each of its faults");
}

#[test]
fn each_fault_does_what_it_says() {
    let cases = [
        (Odds { unsent: 1.0, ..Odds::default() }, StoreErrorKind::Transient, false, false),
        (Odds { reply_lost: 1.0, ..Odds::default() }, StoreErrorKind::Transient, true, true),
        (Odds { late: 1.0, ..Odds::default() }, StoreErrorKind::Transient, false, true),
        (Odds { conflict: 1.0, ..Odds::default() }, StoreErrorKind::Conflict, false, false),
    ];
    for (odds, kind, there_at_once, there_later) in cases {
        let memory = Memory::new();
        let store = Faulty::new(memory.clone(), 1, odds);
        let error = block_on(store.create("key", "body".into(), WriteId(1))).unwrap_err();
        assert_eq!(error.kind, kind);
        assert_eq!(block_on(memory.head("key")).unwrap().is_some(), there_at_once, "{odds:?}");
        block_on(store.settle());
        assert_eq!(block_on(memory.head("key")).unwrap().is_some(), there_later, "{odds:?}");
    }
}

#[test]
fn without_odds_nothing_goes_wrong() {
    let store = Faulty::new(Memory::new(), 1, Odds::default());
    assert_eq!(create(&store, "key", "body", 1), Created::Yes);
    assert!(store.counts().is_empty());
}

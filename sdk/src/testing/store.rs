//! What a [`Store`] promises, one function a promise.

#![allow(clippy::unwrap_used, reason = "a suite of tests: what should not be an error ends it")]

use std::{
    collections::BTreeSet,
    sync::Barrier,
    thread::{self, ScopedJoinHandle},
};

use blocking::unblock;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;

use crate::store::{COMPONENT_BYTES, Created, KEY_BYTES, PAGE_KEYS, Store, StoreErrorKind, WriteId};

/// Writers that meet at one key.
const RACERS: usize = 16;

/// Requests under way at a time where the order does not matter.
const AT_ONCE: usize = 32;

/// Checks every promise of [`Store`]: each call of `open` gives a further handle onto one store, which is empty at first.
///
/// Runs under any executor. Some thousands of small objects are created, and one of 5 MB.
///
/// # Panics
/// When a promise is broken; the message says which.
pub async fn store_conforms<S: Store + 'static>(open: impl Fn() -> S) {
    let store = open();
    starts_empty(&store).await;
    lists_with_an_empty_prefix(&store).await;
    creates_only(&store, &open()).await;
    keeps_write_ids(&store).await;
    reads_ranges(&store).await;
    holds_any_size(&store).await;
    refuses_what_is_no_key(&store).await;
    takes_the_longest_key(&store).await;
    lets_one_of_many_win(&open).await;
    shows_in_lists_what_was_answered(&store, &open()).await;
    lists_in_byte_order(&store).await;
    lists_page_by_page(&store).await;
}

async fn starts_empty(store: &impl Store) {
    assert!(keys(store, "", "").await.is_empty(), "the suite needs a store that is empty at first");
    assert!(folders(store, "", "").await.is_empty(), "an empty store has no folders");
    assert_eq!(read(store, "none").await, None, "a key that was never created has no bytes");
    assert_eq!(store.get("none", Some(0..1)).await.unwrap(), None, "nor has a range of it");
    assert_eq!(store.head("none").await.unwrap(), None, "nor was it written by anybody");
}

async fn lists_with_an_empty_prefix(store: &impl Store) {
    for key in ["c", "a/1", "b"] {
        create(store, key, "", 1).await;
    }
    assert_eq!(keys(store, "", "").await, ["a/1", "b", "c"], "every key begins with the empty prefix");
    assert_eq!(folders(store, "", "").await, ["a/"], "the empty prefix has folders too");
}

async fn creates_only(store: &impl Store, other: &impl Store) {
    create(store, "once/key", "first", 1).await;
    for (handle, id) in [(store as &dyn Store, 2), (other, 3)] {
        let created = handle.create("once/key", "second".into(), WriteId(id)).await.unwrap();
        assert_eq!(created, Created::Exists, "a key is created once");
    }
    // Only a store that sends again may say `Yes`: it has seen its own object.
    let again = store.create("once/key", "again".into(), WriteId(1)).await.unwrap();
    assert_ne!(again, Created::Unknown, "a write that meets itself is answered");
    assert_eq!(read(other, "once/key").await.unwrap(), "first", "an object never changes");
    assert_eq!(other.head("once/key").await.unwrap(), Some(WriteId(1)), "nor does its write id");
}

async fn keeps_write_ids(store: &impl Store) {
    for id in [0, 1, u128::MAX, 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10] {
        let key = format!("ids/{id}");
        create(store, &key, "body", id).await;
        assert_eq!(store.head(&key).await.unwrap(), Some(WriteId(id)), "the write id is kept in full");
    }
}

async fn reads_ranges(store: &impl Store) {
    create(store, "ranges", "0123456789", 1).await;
    let cases =
        [(0..10, "0123456789"), (3..7, "3456"), (8..99, "89"), (0..0, ""), (10..11, ""), (99..u64::MAX, "")];
    for (range, expected) in cases {
        let found = store.get("ranges", Some(range.clone())).await.unwrap().unwrap();
        assert_eq!(found, expected, "a range is cut at the object's end: {range:?}");
    }
    for key in ["ranges", "none"] {
        #[expect(clippy::reversed_empty_ranges, reason = "that is the point")]
        let error = store.get(key, Some(7..3)).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Invalid, "a range that ends before it begins is refused");
    }
}

async fn holds_any_size(store: &impl Store) {
    create(store, "sizes/empty", "", 1).await;
    assert_eq!(read(store, "sizes/empty").await.unwrap(), "", "an object may be empty");
    let found = store.get("sizes/empty", Some(0..9)).await.unwrap().unwrap();
    assert_eq!(found, "", "a range of an empty object is empty");

    let large = Bytes::from_iter((0..5_000_000_u32).map(|i| (i % 251) as u8));
    create(store, "sizes/large", large.clone(), 1).await;
    assert!(read(store, "sizes/large").await.unwrap() == large, "5 MB come back as they were");
    let found = store.get("sizes/large", Some(4_000_000..4_000_100)).await.unwrap().unwrap();
    assert_eq!(found, large[4_000_000..4_000_100], "a range far inside is where it should be");
}

async fn refuses_what_is_no_key(store: &impl Store) {
    let (long, long_component) = ("a/".repeat(KEY_BYTES / 2) + "b", "a".repeat(COMPONENT_BYTES + 1));
    let wrong = [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        ".tmp/a",
        ".a",
        "a/.b",
        "a b",
        "a\\b",
        "ä",
        "a\0",
        "a=",
        "a*",
        &long,
        &long_component,
    ];
    let before = keys(store, "", "").await;
    for key in wrong {
        let errors = [
            store.create(key, "body".into(), WriteId(1)).await.unwrap_err(),
            store.get(key, None).await.unwrap_err(),
            store.head(key).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind, StoreErrorKind::Invalid, "`{key}` is no key: {error}");
            assert_eq!(error.key, key, "an error names its key");
        }
    }
    for prefix in ["a", "/", "../", "a//", "./", "/tmp/"] {
        let error = store.folders(prefix, "").await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Invalid, "`{prefix}` is no folder");
    }
    assert_eq!(keys(store, "", "").await, before, "what is refused leaves no trace");
    for prefix in ["/", "../", "..", "/etc/", "once//", ".tmp/", "ä"] {
        assert!(keys(store, prefix, "").await.is_empty(), "no key begins with `{prefix}`");
    }
}

async fn takes_the_longest_key(store: &impl Store) {
    let component = "-".repeat(COMPONENT_BYTES);
    let key = format!("{component}/{component}/{}", "x".repeat(KEY_BYTES - 2 * COMPONENT_BYTES - 2));
    create(store, &key, "body", 1).await;
    assert_eq!(read(store, &key).await.unwrap(), "body", "a key may have {KEY_BYTES} bytes");
    assert_eq!(keys(store, "-", "").await, [key], "and is listed");
}

/// Real threads, each with a handle of its own.
async fn lets_one_of_many_win<S: Store + 'static>(open: &impl Fn() -> S) {
    for round in 0..8 {
        let handles: Vec<S> = (0..RACERS).map(|_| open()).collect();
        // A store may need the runtime that the suite runs on.
        let runtime = Handle::try_current().ok();
        unblock(move || race(&handles, &format!("race/{round}"), runtime.as_ref())).await;
    }
}

fn race<S: Store>(handles: &[S], key: &str, runtime: Option<&Handle>) {
    let start = Barrier::new(handles.len());
    let results: Vec<(Created, Bytes, WriteId)> = thread::scope(|scope| {
        let racers: Vec<ScopedJoinHandle<'_, _>> = handles
            .iter()
            .zip(0..)
            .map(|(store, id)| {
                let start = &start;
                scope.spawn(move || {
                    let _entered = runtime.map(Handle::enter);
                    start.wait();
                    pollster::block_on(async {
                        let created = store.create(key, body_of(id), WriteId(id)).await.unwrap();
                        let writer = store.head(key).await.unwrap().unwrap();
                        (created, read(store, key).await.unwrap(), writer)
                    })
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    let winners: Vec<u128> =
        (0..).zip(&results).filter(|(_, result)| result.0 == Created::Yes).map(|(id, _)| id).collect();
    assert_eq!(winners.len(), 1, "of {RACERS} writers of one key exactly one wins");
    for (created, body, writer) in results {
        assert_ne!(created, Created::Unknown, "every racer learns what became of its write");
        assert_eq!(writer, WriteId(winners[0]), "every racer sees the winner's write id");
        assert_eq!(body, body_of(winners[0]), "every racer sees the winner's bytes");
    }
}

/// Long enough to be seen half-written.
fn body_of(id: u128) -> Bytes {
    Bytes::from(vec![id as u8; 100_000])
}

async fn shows_in_lists_what_was_answered(store: &impl Store, other: &impl Store) {
    let mut expected = Vec::new();
    for i in 0..20 {
        let key = format!("seen/{i:02}/key");
        create(store, &key, "", 1).await;
        expected.push(key);
        assert_eq!(keys(other, "seen/", "").await, expected, "a list has every write answered before it");
    }
    assert_eq!(folders(other, "seen/", "").await.len(), 20, "folders have every write answered before them");
}

/// Keys whose order is not that of a walk through folders, listed from and after anything.
async fn lists_in_byte_order(store: &impl Store) {
    let names = [
        "a", "a-b", "a.b", "a/b", "a/b-c", "a/b/c", "a/b/d", "a/b.c", "a0", "aB", "a_b", "ab", "a-/x",
        "a./x", "B", "b/a/b/c", "b/a-b", "b-", "0", "Z/z", "_/_", "z/0", "z/1/a", "z/1/b", "z/10", "z/9",
    ];
    let all: BTreeSet<String> = names.iter().map(|name| format!("order/{name}")).collect();
    for key in &all {
        create(store, key, "", 1).await;
    }
    let afters = all
        .iter()
        .flat_map(|key| [key.clone(), format!("{key}/"), format!("{key}!"), key[..key.len() - 1].to_owned()])
        .chain(["", "order/", "order", "order0", "~", "/", "\u{10ffff}", "order/b/zz"].map(str::to_owned));
    let afters: BTreeSet<String> = afters.collect();
    let prefixes = [
        "order/",
        "order",
        "order/a",
        "order/a/",
        "order/a/b",
        "order/a-",
        "order/z/1",
        "order/none",
        "order/a/b/c/d",
    ];
    for prefix in prefixes {
        for after in &afters {
            // With these prefixes only, other checks' keys do not come in between.
            let expected: Vec<&String> =
                all.iter().filter(|key| key.starts_with(prefix) && *key > after).collect();
            assert_eq!(
                keys(store, prefix, after).await.iter().collect::<Vec<_>>(),
                expected,
                "the keys with `{prefix}` after `{after}`, in byte order"
            );
        }
    }
    for prefix in ["order/", "order/a/", "order/b/", "order/a/b/", "order/none/"] {
        let all: BTreeSet<&str> = all
            .iter()
            .filter_map(|key| key.strip_prefix(prefix)?.find('/').map(|end| &key[..=prefix.len() + end]))
            .collect();
        for after in &afters {
            let expected: Vec<&str> = all.iter().copied().filter(|folder| *folder > after.as_str()).collect();
            let message = format!("the folders under `{prefix}` after `{after}`, each once, in byte order");
            assert_eq!(folders(store, prefix, after).await, expected, "{message}");
        }
    }
}

/// More than two pages of keys, more than one of folders.
async fn lists_page_by_page(store: &impl Store) {
    let expected: Vec<String> =
        (0..2 * PAGE_KEYS + 100).map(|i| format!("pages/{:04}/{}", i / 2, i % 2)).collect();
    stream::iter(&expected)
        .map(|key| store.create(key, Bytes::new(), WriteId(1)))
        .buffer_unordered(AT_ONCE)
        .try_for_each(|created| async move {
            assert_eq!(created, Created::Yes, "a new key can be created");
            Ok(())
        })
        .await
        .unwrap();
    let first = store.list("pages/", "").await.unwrap();
    assert_eq!(
        (first.keys.len(), first.more),
        (PAGE_KEYS, true),
        "a page is full, and says that there is more"
    );
    assert!(keys(store, "pages/", "").await == expected, "all pages together are the whole list");
    let rest = store.list("pages/", &expected[expected.len() - PAGE_KEYS - 1]).await.unwrap();
    assert_eq!((rest.keys.len(), rest.more), (PAGE_KEYS, false), "a full page may be the last");

    let first = store.folders("pages/", "").await.unwrap();
    assert_eq!((first.keys.len(), first.more), (PAGE_KEYS, true), "so may be a page of folders");
    assert_eq!(folders(store, "pages/", "").await.len(), PAGE_KEYS + 50, "all pages have every folder once");
}

async fn create(store: &impl Store, key: &str, body: impl Into<Bytes>, id: u128) {
    let created = store.create(key, body.into(), WriteId(id)).await.unwrap();
    assert_eq!(created, Created::Yes, "a new key can be created: `{key}`");
}

async fn read(store: &impl Store, key: &str) -> Option<Bytes> {
    store.get(key, None).await.unwrap()
}

/// All pages, one after the other.
async fn keys(store: &impl Store, prefix: &str, after: &str) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    loop {
        let page = store.list(prefix, keys.last().map_or(after, String::as_str)).await.unwrap();
        assert!(page.keys.len() <= PAGE_KEYS, "a page has at most {PAGE_KEYS} keys");
        keys.extend(page.keys);
        if !page.more {
            return keys;
        }
    }
}

async fn folders(store: &impl Store, prefix: &str, after: &str) -> Vec<String> {
    let mut folders: Vec<String> = Vec::new();
    loop {
        let page = store.folders(prefix, folders.last().map_or(after, String::as_str)).await.unwrap();
        assert!(page.keys.len() <= PAGE_KEYS, "a page has at most {PAGE_KEYS} folders");
        folders.extend(page.keys);
        if !page.more {
            return folders;
        }
    }
}

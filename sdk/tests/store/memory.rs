//! What only `Memory` does.

use cloud::store::{Memory, Requests, Store, WriteId};
use smol::block_on;

use crate::support::create;

#[test]
fn counts_what_is_asked() {
    let store = Memory::new();
    let clone = store.clone();
    let _yes = create(&store, "a", "body", 1);
    let _exists = create(&clone, "a", "body", 2);
    block_on(async {
        store.get("a", Some(0..1)).await.unwrap();
        store.head("none").await.unwrap();
        store.list("", "").await.unwrap();
        clone.folders("", "").await.unwrap();
        store.head("no key").await.unwrap_err();
        // A request that nobody waits for is never sent.
        drop(store.create("b", "body".into(), WriteId(3)));
    });
    assert_eq!(store.requests(), Requests { creates: 2, gets: 1, heads: 1, lists: 2 });
}

#[test]
fn hands_out_what_it_holds_without_copying() {
    let store = Memory::new();
    let _yes = create(&store, "a", vec![7; 1 << 20], 1);
    let (whole, part) = block_on(async {
        (store.get("a", None).await.unwrap(), store.get("a", Some(10..20)).await.unwrap())
    });
    assert_eq!(part.unwrap().as_ptr(), whole.unwrap()[10..].as_ptr());
}

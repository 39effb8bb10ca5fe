//! Lists of a folder against those of a sorted map, and which folders are read for them.

use std::{
    fs,
    os::unix::fs::symlink,
    time::{Duration, SystemTime},
};

use cloud::store::{Created, Memory, Store, StoreErrorKind};
use proptest::{collection::vec, prelude::*};
use rustix::fs::inotify;
use smol::block_on;

use crate::support::{create, keys, open, quick_folder};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Few letters, so that keys share folders, and those that sort before and after `/`.
    #[test]
    fn lists_are_those_of_a_sorted_map(
        created in vec("[a0._-]{1,2}(/[a0._-]{1,2}){0,3}", 1..25),
        prefixes in vec("[a0._/-]{0,4}", 12),
        afters in vec("[a0._/!~-]{0,5}", 12),
    ) {
        let folder = quick_folder();
        let (dir, model) = (open(folder.path()), Memory::new());
        let no_dots = |key: &&String| !key.split('/').any(|component| component.starts_with('.'));
        for key in created.iter().filter(no_dots) {
            let expected = create(&model, key, "", 1);
            prop_assert_eq!(create(&dir, key, "", 1), expected);
        }
        for prefix in prefixes.iter().chain(&created) {
            for after in afters.iter().chain(&created) {
                let (found, expected) = (block_on(dir.list(prefix, after)), block_on(model.list(prefix, after)));
                prop_assert_eq!(found, expected, "list `{}` after `{}`", prefix, after);
                let prefix = format!("{prefix}/");
                let found = block_on(dir.folders(&prefix, after));
                prop_assert_eq!(found, block_on(model.folders(&prefix, after)), "folders `{}`", prefix);
            }
        }
    }
}

/// A link to itself cannot be read by anybody: a trap for whoever reads folders in vain.
#[test]
fn folders_that_cannot_contribute_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for key in ["b/1", "b/2", "c/1/x", "c/2/x", "c/3/x"] {
        assert_eq!(create(&store, key, "", 1), Created::Yes);
    }
    for trap in ["a", "c/0", "d", "zz"] {
        symlink(trap.rsplit('/').next().unwrap(), folder.path().join(trap)).unwrap();
    }
    assert_eq!(block_on(store.list("", "")).unwrap_err().kind, StoreErrorKind::Transient, "the trap works");
    assert_eq!(keys(&store, "b"), ["b/1", "b/2"]);
    assert_eq!(keys(&store, "b/"), ["b/1", "b/2"]);
    assert_eq!(keys(&store, "c/2"), ["c/2/x"]);
    assert_eq!(keys(&store, "e"), [""; 0]);
    let outside = format!("{}/a/", folder.path().display());
    assert_eq!(keys(&store, &outside), [""; 0], "no prefix leads out of the store");
    let page = block_on(store.list("c/", "c/1/x")).unwrap();
    assert_eq!(page.keys, ["c/2/x", "c/3/x"], "what lies before `after` is not read");
    assert_eq!(block_on(store.folders("c/", "c/1/")).unwrap().keys, ["c/2/", "c/3/"]);
}

/// Nor are those above the prefix, which may hold every run there ever was.
#[test]
fn folders_above_the_prefix_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(create(&store, "a/b/key", "", 1), Created::Yes);
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    // It tells of reads of the folder and of those right in it.
    inotify::add_watch(&watch, folder.path(), inotify::WatchFlags::ACCESS).unwrap();
    let was_read = || rustix::io::read(&watch, &mut [0; 4096]).is_ok();
    assert_eq!(keys(&store, "a/b/k"), ["a/b/key"]);
    assert!(!was_read());
    assert_eq!(keys(&store, "a/b"), ["a/b/key"]);
    assert!(was_read(), "the watch works");
}

/// Behind a full page and the one key more that tells of others.
#[test]
fn folders_behind_a_full_page_are_not_read() {
    let folder = quick_folder();
    let store = open(folder.path());
    for i in 0..=1000 {
        assert_eq!(create(&store, &format!("a/{i:04}"), "", 1), Created::Yes);
    }
    symlink("b", folder.path().join("b")).unwrap();
    assert!(block_on(store.list("", "")).unwrap().more);
}

#[test]
fn what_vanishes_under_way_or_is_not_ours_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(create(&store, "b/key", "", 1), Created::Yes);
    symlink("gone", folder.path().join("a")).unwrap();
    fs::write(folder.path().join("readme"), "by hand").unwrap();
    fs::write(folder.path().join("b/notes of mine=.txt"), "by hand").unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::create_dir_all(folder.path().join("deep/empty")).unwrap();
    assert_eq!(keys(&store, ""), ["b/key"]);
    assert_eq!(block_on(store.folders("", "")).unwrap().keys, ["b/"]);
    assert_eq!(keys(&store, "readme/"), [""; 0]);
}

#[test]
fn abandoned_drafts_are_swept_and_fresh_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let drafts = folder.path().join(".tmp");
    for (name, minutes) in [("old", 61), ("fresh", 59)] {
        let draft = fs::File::create(drafts.join(name)).unwrap();
        draft.set_modified(SystemTime::now() - Duration::from_secs(60 * minutes)).unwrap();
    }
    let store = open(folder.path());
    let names = || fs::read_dir(&drafts).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(names(), ["fresh"]);
    assert_eq!(keys(&store, ""), [""; 0]);
    for _ in 0..3 {
        let _created = create(&store, "key", "body", 1);
    }
    assert_eq!(names(), ["fresh"], "no write leaves its draft behind, won or lost");
}

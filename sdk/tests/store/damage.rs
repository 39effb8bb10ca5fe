//! Files that are not what a `Dir` wrote, or cannot be.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use cloud::store::{Created, Dir, Store, StoreErrorKind, WriteId};
use smol::block_on;

use crate::support::{create, open, read};

/// Read and looked up, it is refused by name.
fn assert_damaged(store: &Dir, key: &str, words: &str) {
    let errors = [
        block_on(store.get(key, None)).unwrap_err(),
        block_on(store.get(key, Some(0..1))).unwrap_err(),
        block_on(store.head(key)).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind, StoreErrorKind::Damaged, "{error}");
        assert!(error.to_string().contains(&format!("`{key}` could not be")), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_file_that_is_cut_short_or_not_ours_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(create(&store, "out/key", "0123456789", 1), Created::Yes);
    let file = folder.path().join("out/key=");
    let whole = fs::read(&file).unwrap();
    assert_eq!(whole.len(), 42);

    for length in 0..whole.len() {
        fs::write(&file, &whole[..length]).unwrap();
        assert_damaged(&store, "out/key", if length < 32 { "has no header" } else { "bytes of 10" });
    }
    fs::write(&file, [&whole[..], b"!"].concat()).unwrap();
    assert_damaged(&store, "out/key", "has 11 bytes of 10");

    fs::write(&file, "some other program's file, long enough to have a header").unwrap();
    assert_damaged(&store, "out/key", "is not an object of a store");

    let mut newer = whole;
    newer[4] = 2;
    fs::write(&file, &newer).unwrap();
    assert_damaged(&store, "out/key", "has layout 2, and this program knows 1");

    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_damaged(&store, "out/key", "has no header");
}

/// The layout is a stored format: what one version wrote, every later one reads.
#[test]
fn the_layout_is_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let id = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100;
    assert_eq!(create(&store, "a/b", "body", id), Created::Yes);
    let expected = b"CLDO\x01\0\0\0\
        \x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
        \x04\0\0\0\0\0\0\0body";
    assert_eq!(fs::read(folder.path().join("a/b=")).unwrap(), expected);
}

#[test]
fn files_and_folders_are_the_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("made/on/the/way");
    let store = open(&place);
    assert_eq!(create(&store, "a/b", "body", 1), Created::Yes);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&place.join("a/b=")), 0o600);
    for made in [folder.path().join("made"), place.clone(), place.join("a"), place.join(".tmp")] {
        assert_eq!(mode(&made), 0o700, "{}", made.display());
    }
    assert_eq!(fs::metadata(place.join("a/b=")).unwrap().nlink(), 1);
}

#[test]
fn folders_removed_by_hand_are_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(create(&store, "a/b/1", "body", 1), Created::Yes);
    for (removed, key) in [("a", "a/b/2"), (".tmp", "a/b/3")] {
        fs::remove_dir_all(folder.path().join(removed)).unwrap();
        let error = block_on(store.create(key, "body".into(), WriteId(1))).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Transient, "{error}");
        assert_eq!(create(&store, key, "body", 1), Created::Yes);
    }
}

#[test]
fn a_store_that_cannot_be_opened_says_where_and_why() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "in the way").unwrap();
    let error = block_on(Dir::open(folder.path().join("file"))).unwrap_err();
    assert!(error.to_string().contains("file` could not be opened: "), "{error}");
}

#[test]
fn a_relative_place_stays_where_it_was() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let relative = folder.path().file_name().unwrap();
    let store = open(Path::new(relative));
    assert_eq!(create(&store, "key", "body", 1), Created::Yes);
    assert!(format!("{store:?}").contains(std::env::current_dir().unwrap().to_str().unwrap()));
    assert_eq!(read(&store, "key").unwrap(), "body");
}

//! Lists in byte order of the whole keys, from a walk that reads no folder in vain.
//!
//! Sorted by name, `a` would come before `a-b`, and so would all in it: `a/b`. But `-` and `.` come before `/`. So a folder is
//! sorted as `a/`; then what is in it comes in one piece, at the right place.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use super::MARK;
use crate::store::{PAGE_KEYS, Page, check};

/// The first keys with `prefix` that come after `after`.
pub(super) fn keys(root: &Path, prefix: &str, after: &str) -> io::Result<Page> {
    let top = &prefix[..prefix.rfind('/').map_or(0, |slash| slash + 1)];
    let mut found = Vec::new();
    // What cannot be a folder of keys might lead out of the store.
    if check::is_folder(top) {
        Walk { root, prefix, after }.collect(top, &mut found)?;
    }
    Ok(Page::of(found.into_iter()))
}

/// The first folders right under `prefix` that come after `after`. One that a crashed writer left empty is none.
pub(super) fn folders(root: &Path, prefix: &str, after: &str) -> io::Result<Page> {
    let mut folders = entries(root, prefix)?;
    folders.retain(|entry| entry.ends_with('/') && entry.as_str() > after);
    folders.sort_unstable();
    let mut found = Vec::new();
    for folder in folders {
        if found.len() > PAGE_KEYS {
            break;
        }
        if has_keys(root, &folder)? {
            found.push(folder);
        }
    }
    Ok(Page::of(found.into_iter()))
}

struct Walk<'a> {
    root: &'a Path,
    prefix: &'a str,
    after: &'a str,
}

impl Walk<'_> {
    /// Adds the keys of one folder, until there is one more than a page has.
    fn collect(&self, folder: &str, found: &mut Vec<String>) -> io::Result<()> {
        let mut entries = entries(self.root, folder)?;
        entries.retain(|entry| self.wants(entry));
        entries.sort_unstable();
        for entry in entries {
            if found.len() > PAGE_KEYS {
                break;
            }
            if entry.ends_with('/') {
                self.collect(&entry, found)?;
            } else {
                found.push(entry);
            }
        }
        Ok(())
    }

    /// Whether it is a key to be listed, or a folder that may have some.
    fn wants(&self, entry: &str) -> bool {
        if entry.ends_with('/') {
            let within = entry.starts_with(self.prefix) || self.prefix.starts_with(entry);
            within && (entry > self.after || self.after.starts_with(entry))
        } else {
            entry.starts_with(self.prefix) && entry > self.after
        }
    }
}

/// Whether any object is in a folder or below it.
fn has_keys(root: &Path, folder: &str) -> io::Result<bool> {
    let entries = entries(root, folder)?;
    if entries.iter().any(|entry| !entry.ends_with('/')) {
        return Ok(true);
    }
    for inner in entries {
        if has_keys(root, &inner)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The keys and, with a `/` behind them, the folders right in a folder. There are none in one that is not there (any more).
fn entries(root: &Path, folder: &str) -> io::Result<Vec<String>> {
    let read = match fs::read_dir(root.join(folder)) {
        Ok(read) => read,
        // The latter is a file that others have put here.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut entries = Vec::new();
    for entry in read {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let entry = match name.strip_suffix(MARK) {
            Some(object) => format!("{folder}{object}"),
            None => format!("{folder}{name}/"),
        };
        if check::is_key(entry.strip_suffix('/').unwrap_or(&entry)) {
            entries.push(entry);
        }
    }
    Ok(entries)
}

//! Old runs of a mock folder are removed, as the bucket's lifecycle does on AWS: tests and rehearsals make many.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    store::{Dir, Store},
    wire::{Hash, Keys, Manifest, RunId, Stored},
};

/// So long a run can be looked at and attached to.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// A program that no run needs may be one that is just about to be needed.
const UNNEEDED: Duration = Duration::from_secs(3600);

/// Removes what is old from the folder, beside whatever else is done, once a process. What cannot be removed now is removed
/// another time.
pub(super) fn expire(folder: &Path, dir: &Dir) {
    static SEEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    if SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_path_buf()) {
        let (folder, dir) = (folder.to_path_buf(), dir.clone());
        blocking::unblock(move || remove_old(&folder, &dir, SystemTime::now())).detach();
    }
}

fn remove_old(folder: &Path, dir: &Dir, now: SystemTime) {
    let mut needed = BTreeSet::new();
    for (name, path) in entries(&folder.join("runs")) {
        let Some(run) = name.to_str().and_then(|name| name.parse::<RunId>().ok()) else { continue };
        if is_older(UNIX_EPOCH + Duration::from_millis(run.created()), KEPT, now) {
            let _ = fs::remove_dir_all(path);
        } else if let Ok(Some(manifest)) = pollster::block_on(dir.get(&Keys::of(run).manifest(), None))
            && let Ok(manifest) = Manifest::from_object(&manifest)
        {
            needed.insert(manifest.program.hash.0);
        }
    }
    for (_, path) in entries(&folder.join("batch/logs")) {
        let written = fs::metadata(&path).and_then(|file| file.modified());
        if written.is_ok_and(|written| is_older(written, KEPT, now)) {
            let _ = fs::remove_file(path);
        }
    }
    for (name, path) in entries(&folder.join("programs")) {
        // Whatever else lies there is not ours.
        let hash = name.to_str().and_then(|name| name.strip_suffix('=')).and_then(Hash::parse);
        let Some(hash) = hash else { continue };
        let written = fs::metadata(&path).and_then(|file| file.modified());
        if !needed.contains(&hash.0) && written.is_ok_and(|written| is_older(written, UNNEEDED, now)) {
            let _ = fs::remove_file(path);
        }
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = (OsString, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| (entry.file_name(), entry.path()))
}

fn is_older(made: SystemTime, age: Duration, now: SystemTime) -> bool {
    now.duration_since(made).is_ok_and(|past| past > age)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            entries(folder).map(|(name, _)| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn runs_of_last_week_go_and_programs_that_no_run_needs() {
        let folder = tempfile::tempdir().unwrap();
        let dir = pollster::block_on(Dir::open(folder.path())).unwrap();
        let now = SystemTime::now();
        let days = |days: u64| {
            let then = now - Duration::from_secs(days * 24 * 3600);
            RunId::new(then.duration_since(UNIX_EPOCH).unwrap().as_millis() as u64, 7)
        };
        let (old, young) = (days(8), days(6));
        for run in [old, young] {
            fs::create_dir_all(folder.path().join(format!("runs/{run}/in"))).unwrap();
        }
        fs::create_dir_all(folder.path().join("programs")).unwrap();
        let unneeded = format!("{}=", Hash([7; 32]));
        for program in [&unneeded, "the-user's-own"] {
            fs::write(folder.path().join("programs").join(program), "old").unwrap();
        }

        remove_old(folder.path(), &dir, now);
        assert_eq!(names(&folder.path().join("runs")), [young.to_string()]);
        assert_eq!(names(&folder.path().join("programs")), [unneeded.as_str(), "the-user's-own"]);
        remove_old(folder.path(), &dir, now + 2 * UNNEEDED);
        assert_eq!(names(&folder.path().join("programs")), ["the-user's-own"]);
    }
}

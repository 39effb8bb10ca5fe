//! [`Dir`]: objects in a folder of a file system.

mod list;
mod object;

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind},
    ops::Range,
    os::unix::fs::DirBuilderExt,
    path::{self, Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use blocking::unblock;
use bytes::Bytes;

use self::object::{ObjectFile, write_new};
use super::{Created, Page, Pending, Result, Store, StoreError, StoreErrorKind, WriteId, check};

/// Where objects are written before they get their names. No key begins with a dot.
const DRAFTS: &str = ".tmp/";

/// A draft as old as this has lost its writer.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// At the end of the names of objects, and of nothing else: `a` and `a/b` may both be keys, but one name cannot be both
/// file and folder.
const MARK: char = '=';

/// Objects in a folder of a file system of this machine, with hard links. Any number of processes may use it at a time, and
/// be killed at any moment: an object is whole or absent. One whose creation was answered survives the loss of power.
///
/// The object `a/b` is the file `a/b=`, which begins with a header of 32 bytes: `CLDO`, the layout's version (four bytes), the
/// write id (16), and the length of the body (8), all little-endian. The rest is the body. Files are readable by their
/// owner alone.
#[derive(Debug, Clone)]
pub struct Dir {
    root: Arc<Root>,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    /// The folders whose names this process has made durable; another that made them may not have come to it yet.
    durable: Mutex<BTreeSet<String>>,
}

impl Dir {
    /// The store in the folder `path`, which is made if it is not there. What crashed writers have left in it is removed.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Dir> {
        let path = path.into();
        let name = path.display().to_string();
        match unblock(move || Root::open(&path)).await {
            Ok(root) => Ok(Dir { root: Arc::new(root) }),
            Err(error) => Err(failure(&error, &name, "opened")),
        }
    }

    /// Runs `work` where it may block. It does not begin before it is waited for.
    fn aside<'a, T: Send + 'static>(
        &'a self,
        key: &'a str,
        action: &'static str,
        work: impl FnOnce(&Root, &str) -> io::Result<T> + Send + 'static,
    ) -> Pending<'a, Result<T>> {
        Box::pin(async move {
            let (root, name) = (Arc::clone(&self.root), key.to_owned());
            unblock(move || work(&root, &name)).await.map_err(|error| failure(&error, key, action))
        })
    }
}

impl Store for Dir {
    fn create<'a>(&'a self, key: &'a str, body: Bytes, id: WriteId) -> Pending<'a, Result<Created>> {
        Box::pin(async move {
            check::key(key, "created")?;
            self.aside(key, "created", move |root, key| root.create(key, &body, id)).await
        })
    }

    fn get<'a>(&'a self, key: &'a str, range: Option<Range<u64>>) -> Pending<'a, Result<Option<Bytes>>> {
        Box::pin(async move {
            check::key(key, "read")?;
            check::range(key, range.as_ref())?;
            self.aside(key, "read", |root, key| {
                let Some(object) = ObjectFile::open(&root.object(key))? else { return Ok(None) };
                object.read(range).map(Some)
            })
            .await
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> Pending<'a, Result<Option<WriteId>>> {
        Box::pin(async move {
            check::key(key, "looked up")?;
            self.aside(key, "looked up", |root, key| {
                Ok(ObjectFile::open(&root.object(key))?.map(|object| object.id))
            })
            .await
        })
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        let after = after.to_owned();
        self.aside(prefix, "listed", move |root, prefix| list::keys(&root.path, prefix, &after))
    }

    fn folders<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        Box::pin(async move {
            check::folder(prefix)?;
            let after = after.to_owned();
            self.aside(prefix, "listed", move |root, prefix| list::folders(&root.path, prefix, &after)).await
        })
    }
}

impl Root {
    fn open(path: &Path) -> io::Result<Root> {
        // The program may go to another folder later.
        let path = path::absolute(path)?;
        make_all(&path)?;
        let root = Root { path, durable: Mutex::default() };
        root.make_folders(DRAFTS)?;
        root.sweep()?;
        Ok(root)
    }

    /// Removes abandoned drafts. A writer that is only slow is told so, and sends again.
    fn sweep(&self) -> io::Result<()> {
        for draft in fs::read_dir(self.path.join(DRAFTS))? {
            let draft = draft?;
            let age = draft.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed());
            if let Ok(Ok(age)) = age
                && age > ABANDONED
            {
                // Another process may be sweeping too.
                let _gone_already = fs::remove_file(draft.path());
            }
        }
        Ok(())
    }

    /// The file gets its name only when it is whole, by a link, which fails if the name is taken. A rename would replace the
    /// other's object; creating the name first would show a half-written one.
    fn create(&self, key: &str, body: &[u8], id: WriteId) -> io::Result<Created> {
        let created = self.draft(body, id).and_then(|draft| {
            let created = self.publish(&draft, key);
            // If it stays, it is swept.
            let _stays = fs::remove_file(&draft);
            created
        });
        if created.is_err() {
            // Perhaps a folder was removed by hand: the next one to write makes it again.
            self.durable().clear();
        }
        created
    }

    fn draft(&self, body: &[u8], id: WriteId) -> io::Result<PathBuf> {
        loop {
            let name = format!("{DRAFTS}{:032x}", fastrand::u128(..));
            self.make_folders(&name)?;
            let draft = self.path.join(name);
            match write_new(&draft, body, id) {
                Ok(()) => return Ok(draft),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let _stays = fs::remove_file(&draft);
                    return Err(error);
                }
            }
        }
    }

    fn publish(&self, draft: &Path, key: &str) -> io::Result<Created> {
        self.make_folders(key)?;
        let object = self.object(key);
        // Before the link: what fails from there on may have been applied.
        let folder = File::open(object.parent().unwrap_or(&self.path))?;
        let created = match fs::hard_link(draft, &object) {
            Ok(()) => Created::Yes,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Created::Exists,
            Err(error) => return Err(error),
        };
        // The other's object too: it may be our own of an earlier call that failed right here.
        folder.sync_all().map_err(io::Error::other)?;
        Ok(created)
    }

    /// Makes the folders of a path, from the top, each durable before anything is in it.
    fn make_folders(&self, path: &str) -> io::Result<()> {
        for (end, _) in path.match_indices('/') {
            let folder = &path[..end];
            if self.durable().contains(folder) {
                continue;
            }
            let whole = self.path.join(folder);
            make(&whole)?;
            sync_parent(&whole)?;
            self.durable().insert(folder.to_owned());
        }
        Ok(())
    }

    fn object(&self, key: &str) -> PathBuf {
        self.path.join(format!("{key}{MARK}"))
    }

    fn durable(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a folder and those above it, durably, unless it is there.
fn make_all(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_all(parent)?;
    }
    make(folder)?;
    sync_parent(folder)
}

fn make(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn failure(error: &io::Error, key: &str, action: &'static str) -> StoreError {
    let kind = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreErrorKind::Full,
        ErrorKind::PermissionDenied => StoreErrorKind::Denied,
        ErrorKind::InvalidData => StoreErrorKind::Damaged,
        _ => StoreErrorKind::Transient,
    };
    StoreError::new(kind, key, action, error.to_string())
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_the_system_says_has_a_kind() {
        let kinds = [
            (Errno::NOSPC, StoreErrorKind::Full),
            (Errno::DQUOT, StoreErrorKind::Full),
            (Errno::ACCESS, StoreErrorKind::Denied),
            (Errno::PERM, StoreErrorKind::Denied),
            (Errno::IO, StoreErrorKind::Transient),
            (Errno::MFILE, StoreErrorKind::Transient),
        ];
        for (errno, kind) in kinds {
            let error = io::Error::from(errno);
            let failure = failure(&error, "a/b", "created");
            assert_eq!(failure.kind, kind);
            assert_eq!(failure.to_string(), format!("`a/b` could not be created: {error}"));
        }
    }
}

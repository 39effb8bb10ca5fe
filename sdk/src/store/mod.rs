//! Where a run's objects are. Objects are created once and never changed, so that nothing a process does twice can
//! undo what another did.

mod check;
mod dir;
#[cfg(any(test, feature = "testing"))]
mod faulty;
mod memory;
mod retrying;

use std::{fmt, future::Future, ops::Range, pin::Pin, sync::Arc};

use bytes::Bytes;

pub use dir::Dir;
#[cfg(any(test, feature = "testing"))]
pub use faulty::{Fault, Faulty, Odds, Operation};
pub use memory::{Memory, Requests};
pub use retrying::Retrying;

/// A future that any executor can run.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// `Result` with [`StoreError`].
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Most keys that one page of a list has, as in S3.
pub const PAGE_KEYS: usize = 1000;

/// Most bytes that a key has.
pub const KEY_BYTES: usize = 512;

/// Most bytes that one component of a key has: what file systems allow, less room for a mark of our own.
pub const COMPONENT_BYTES: usize = 250;

/// Names one logical write. It is kept beside the object, so that a writer whose reply was lost can tell its own object
/// from another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WriteId(pub u128);

/// What became of a create-only write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a write may have lost against another, or be unknown"]
pub enum Created {
    /// The object is there, and by this write.
    Yes,
    /// The key was taken by another write; nothing was changed.
    Exists,
    /// Nobody can say: the replies were lost, and so was the chance to ask. Only [`Retrying`] gives this.
    Unknown,
}

/// One page of a list, in byte order of the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// At most [`PAGE_KEYS`].
    pub keys: Vec<String>,
    /// There are more behind the last of them.
    pub more: bool,
}

/// A flat space of objects by key. A key is one or more components with a `/` between them, at most [`KEY_BYTES`] in all. A
/// component is 1 to [`COMPONENT_BYTES`] of `[A-Za-z0-9._-]` and does not begin with a `.`. Any other key is
/// [`StoreErrorKind::Invalid`]. `a` and `a/b` may both be objects.
///
/// Reads see every write that was answered before they began, lists too (as in S3 since 2020). A store sends each request
/// once: only [`Retrying`] can tell what a second [`Created::Exists`] means.
pub trait Store: Send + Sync + fmt::Debug {
    /// Creates the object `key`, if there is none. Never [`Created::Unknown`], unless the store says so of itself. If the future
    /// is dropped, the write may still be applied, even later.
    ///
    /// # Errors
    /// [`StoreErrorKind::Transient`]: the write may have been applied or not. Any other kind: it was not.
    fn create<'a>(&'a self, key: &'a str, body: Bytes, id: WriteId) -> Pending<'a, Result<Created>>;

    /// The object's bytes, or those of them that lie in `range` (cut at the object's end, so perhaps none); `None` if there
    /// is no such object. A range that ends before it begins is [`StoreErrorKind::Invalid`].
    ///
    /// # Errors
    /// When that could not be found out.
    fn get<'a>(&'a self, key: &'a str, range: Option<Range<u64>>) -> Pending<'a, Result<Option<Bytes>>>;

    /// Which write created the object; `None` if there is no such object.
    ///
    /// # Errors
    /// When that could not be found out.
    fn head<'a>(&'a self, key: &'a str) -> Pending<'a, Result<Option<WriteId>>>;

    /// The first keys that begin with `prefix` and come after `after`. Both may be any text; all keys begin with the empty
    /// one and come after it.
    ///
    /// # Errors
    /// When that could not be found out.
    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>>;

    /// The first folders right under `prefix` that come after `after`: keys up to and with their next `/`, each once. `prefix`
    /// is empty or such a folder itself, else it is [`StoreErrorKind::Invalid`].
    ///
    /// # Errors
    /// When that could not be found out.
    fn folders<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>>;
}

/// A shared store is a store.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn create<'a>(&'a self, key: &'a str, body: Bytes, id: WriteId) -> Pending<'a, Result<Created>> {
        (**self).create(key, body, id)
    }

    fn get<'a>(&'a self, key: &'a str, range: Option<Range<u64>>) -> Pending<'a, Result<Option<Bytes>>> {
        (**self).get(key, range)
    }

    fn head<'a>(&'a self, key: &'a str) -> Pending<'a, Result<Option<WriteId>>> {
        (**self).head(key)
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        (**self).list(prefix, after)
    }

    fn folders<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        (**self).folders(prefix, after)
    }
}

impl Page {
    /// Of keys in order, of which there may be more than a page has: one more tells.
    fn of(keys: impl Iterator<Item = String>) -> Page {
        let mut keys: Vec<String> = keys.take(PAGE_KEYS + 1).collect();
        let more = keys.len() > PAGE_KEYS;
        keys.truncate(PAGE_KEYS);
        Page { keys, more }
    }
}

/// Why a store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` could not be {action}: {reason}")]
pub struct StoreError {
    /// What kind of trouble.
    pub kind: StoreErrorKind,
    /// The key, or the prefix of a list, or the place of a store.
    pub key: String,
    /// `created`, `read`, `looked up` or `listed`; of a store, `opened`.
    pub action: &'static str,
    /// In the words of whoever refused.
    pub reason: String,
}

impl StoreError {
    pub(crate) fn new(
        kind: StoreErrorKind,
        key: impl Into<String>,
        action: &'static str,
        reason: impl Into<String>,
    ) -> StoreError {
        StoreError { kind, key: key.into(), action, reason: reason.into() }
    }
}

/// What a program can do about a [`StoreError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It may go well another time: no connection, overload, a lost reply.
    Transient,
    /// Two writes met; neither has won yet. Sent again, one will.
    Conflict,
    /// The key or the range is not one that a store takes.
    Invalid,
    /// No permission.
    Denied,
    /// No room.
    Full,
    /// The object is there, and is not what was written.
    Damaged,
}

impl StoreErrorKind {
    /// Whether asking again may help.
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(self, StoreErrorKind::Transient | StoreErrorKind::Conflict)
    }
}

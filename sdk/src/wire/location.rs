//! Which run, in which store: all that a container is told, beside the manifest's hash.

use std::{fmt, str::FromStr};

use super::keys::RunId;

/// A run and where its objects are: `dir:/var/mock#01j..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) store: StoreLocation,
    pub(crate) run: RunId,
}

/// Which store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreLocation {
    /// The memory of the process that started the run; its workers are in it.
    Memory,
    /// A folder of this machine. Its path is text, since it travels in variables that Batch takes only as text.
    Dir(String),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.store, self.run)
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreLocation::Memory => f.write_str("memory:"),
            StoreLocation::Dir(folder) => write!(f, "dir:{folder}"),
        }
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Location, String> {
        let wrong = || format!("`{text}` names no run: `dir:<folder>#<run>` does");
        // A folder may have a `#` in its name, a run has none.
        let (store, run) = text.rsplit_once('#').ok_or_else(wrong)?;
        let store = match store.split_once(':') {
            Some(("memory", "")) => StoreLocation::Memory,
            Some(("dir", folder)) if !folder.is_empty() => StoreLocation::Dir(folder.into()),
            _ => return Err(wrong()),
        };
        Ok(Location { store, run: run.parse().map_err(|_| wrong())? })
    }
}

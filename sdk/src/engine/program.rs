//! The program as workers get it: this very executable, stored once under its hash.

use std::{io, sync::OnceLock};

use bytes::Bytes;

use super::site::Site;
use crate::{
    error::{Error, Result},
    wire::{Hash, Program, keys},
};

/// The running program, even if its file was replaced since.
const SELF: &str = "/proc/self/exe";

/// Hash and size of the running program. Reads it once a process.
pub(crate) fn own_program() -> io::Result<Program> {
    static OWN: OnceLock<Program> = OnceLock::new();
    if let Some(program) = OWN.get() {
        return Ok(*program);
    }
    let bytes = std::fs::read(SELF)?;
    Ok(*OWN.get_or_init(|| Program { hash: Hash::of(&bytes), bytes: bytes.len() as u64 }))
}

/// Stores this program, if it is not there already.
///
/// # Errors
/// When it cannot be read, or not be stored.
pub(crate) async fn ship(site: &Site) -> Result<Program> {
    let unreadable = |error: io::Error| Error::Program { reason: error.to_string() };
    let program = blocking::unblock(own_program).await.map_err(unreadable)?;
    let key = keys::program(&program.hash);
    if site.store.head(&key).await?.is_none() {
        let bytes = blocking::unblock(|| std::fs::read(SELF)).await.map_err(unreadable)?;
        let _ = site.create(&key, Bytes::from(bytes)).await?;
    }
    Ok(program)
}

//! The program as workers get it: the client's very executable, stored once under its hash.

use std::{
    ffi::CString,
    fs::File,
    io::{self, Write},
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::Command,
    sync::OnceLock,
};

use bytes::Bytes;
use rustix::fs::{MemfdFlags, memfd_create};

use super::worker::{Trouble, Worker};
use crate::wire::{Hash, Program, keys};

/// The running program, even if its file was replaced since.
pub(crate) const OWN_PROGRAM: &str = "/proc/self/exe";

/// Hash and size of the running program. Reads it once a process.
pub(crate) fn own_program() -> io::Result<Program> {
    static OWN: OnceLock<Program> = OnceLock::new();
    if let Some(program) = OWN.get() {
        return Ok(*program);
    }
    let (hash, bytes) = Hash::of_all(File::open(OWN_PROGRAM)?)?;
    Ok(*OWN.get_or_init(|| Program { hash, bytes }))
}

/// Makes sure that this process runs the program that the run was planned with: if it does not, it becomes that program,
/// which begins anew as a worker.
///
/// # Errors
/// When the program is not there, damaged, or does not start.
pub(super) async fn ensure_program(worker: &Worker) -> Result<(), Trouble> {
    let wanted = worker.manifest.program;
    let key = keys::program(&wanted.hash);
    let misfit = |error: io::Error| Trouble::misfit(&key, &error.to_string());
    let own = blocking::unblock(own_program).await.map_err(misfit)?;
    if own.hash == wanted.hash {
        return Ok(());
    }
    let program = worker.store.get(&key, None).await?;
    let program = program.ok_or_else(|| Trouble::misfit(&key, "it is not there"))?;
    if Hash::of(&program) != wanted.hash {
        return Err(Trouble::misfit(&key, "its hash is not its name's"));
    }
    Err(misfit(become_program(&program)))
}

/// Only returns if it fails. The program is kept in memory: a container's file system may be read-only.
fn become_program(program: &Bytes) -> io::Error {
    let name = CString::from(c"worker");
    let file = memfd_create(&name, MemfdFlags::CLOEXEC).map_err(io::Error::from);
    let file = file.map(File::from).and_then(|mut file| file.write_all(program).map(|()| file));
    match file {
        Ok(file) => {
            let arguments = std::env::args_os();
            Command::new(format!("/proc/self/fd/{}", file.as_raw_fd())).args(arguments.skip(1)).exec()
        }
        Err(error) => error,
    }
}

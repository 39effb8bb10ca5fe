//! What a slot inherits: its pipes, and a page that it shares with its parent.

#![expect(
    unsafe_code,
    reason = "memory shared with another process, descriptors named by number, the environment"
)]

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{MemfdFlags, OFlags, fcntl_setfl, ftruncate, memfd_create},
    io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd},
    mm::{MapFlags, ProtFlags, mmap, munmap},
    time::{ClockId, clock_gettime},
};

/// Three words that a slot writes and its parent reads while the slot is busy or dead.
///
/// `claimed` is the whole protocol about who runs which chunk. Chunks reach a slot numbered 1, 2, 3, .. and the slot may
/// run number `n` only if it moves the word from `n - 1` to `n`. The parent takes back everything
/// not yet begun by moving the word to the last number it sent. Each is one compare-and-swap, so a
/// chunk is either begun or taken back, never both.
#[repr(C)]
struct Words {
    claimed: AtomicU64,
    /// When the chunk in `claimed` was begun: nanoseconds of the monotonic clock, which all processes share. Zero while no
    /// chunk is in user code: a slot may wait long to hand over a result, and that is not the chunk's time or fault.
    started: AtomicU64,
    /// Processor time the slot has used so far, in nanoseconds.
    processor: AtomicU64,
}

/// The shared page, mapped.
#[derive(Debug)]
pub(super) struct Page(NonNull<Words>);

// SAFETY: the page is only ever used through atomics, and stays mapped until the `Page` is dropped.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// A page and the descriptor a child maps it by. The descriptor is inherited by any process started until
    /// it is closed: it holds three counters and nothing depends on who else has it.
    pub(super) fn create() -> io::Result<(Page, OwnedFd)> {
        let file = memfd_create(c"cloud-slot", MemfdFlags::empty())?;
        ftruncate(&file, size_of::<Words>() as u64)?;
        Ok((Page::map(&file)?, file))
    }

    fn map(file: impl AsFd) -> io::Result<Page> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                size_of::<Words>(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                file,
                0,
            )?
        };
        NonNull::new(start.cast()).map(Page).ok_or_else(|| Errno::NOMEM.into())
    }

    fn words(&self) -> &Words {
        // SAFETY: page-aligned, mapped for as long as `self` lives, zero-filled by the kernel at first, and any bits are
        // a valid `AtomicU64`.
        unsafe { self.0.as_ref() }
    }

    /// The slot begins chunk `number`; false when the parent has taken it back.
    #[inline]
    pub(super) fn claim(&self, number: u64, now: u64) -> bool {
        let words = self.words();
        words.started.store(now, Ordering::Relaxed);
        words.claimed.compare_exchange(number - 1, number, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The chunk claimed last has left user code.
    #[inline]
    pub(super) fn finish(&self) {
        self.words().started.store(0, Ordering::Relaxed);
    }

    /// The parent takes back every chunk up to `last` that is not begun, and learns which was begun last.
    pub(super) fn take_back(&self, last: u64) -> u64 {
        // Never lower than `last` before, since numbers are sent in order: so this is a swap that cannot move back.
        self.words().claimed.fetch_max(last, Ordering::AcqRel)
    }

    /// The chunk begun last.
    pub(super) fn claimed(&self) -> u64 {
        self.words().claimed.load(Ordering::Acquire)
    }

    /// When the chunk in user code was begun, by the monotonic clock in nanoseconds; `None` if none is in there.
    pub(super) fn started(&self) -> Option<u64> {
        Some(self.words().started.load(Ordering::Relaxed)).filter(|started| *started != 0)
    }

    pub(super) fn set_processor_time(&self, nanos: u64) {
        self.words().processor.store(nanos, Ordering::Relaxed);
    }

    pub(super) fn processor_time(&self) -> u64 {
        self.words().processor.load(Ordering::Relaxed)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: this mapping was made by `map` with this size, and nothing borrows from it any more. An error would
        // leak a page, nothing else.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), size_of::<Words>()) };
    }
}

/// Now, on the clock that all processes of a machine share.
#[inline]
pub(super) fn monotonic_nanos() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A slot's ends of its pipes, at high numbers and closed on exec, so that neither user code nor its children meet them.
pub(super) struct Pipes {
    pub(super) requests: OwnedFd,
    pub(super) results: OwnedFd,
}

/// Moves the pipes away from stdin and stdout, which then are empty input and stderr.
pub(super) fn take_pipes() -> io::Result<Pipes> {
    let requests = move_up(io::stdin().as_fd())?;
    fcntl_setfl(&requests, OFlags::NONBLOCK)?;
    let results = move_up(io::stdout().as_fd())?;
    rustix::stdio::dup2_stdin(fs::File::open("/dev/null")?)?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(Pipes { requests, results })
}

fn move_up(fd: impl AsFd) -> io::Result<OwnedFd> {
    const HIGH: RawFd = 500;
    // A process with a small limit has no such number; any other will do.
    fcntl_dupfd_cloexec(&fd, HIGH).or_else(|_| fcntl_dupfd_cloexec(&fd, 3)).map_err(Into::into)
}

/// Maps the page that the parent left under this number, and closes the number.
pub(super) fn take_page(number: RawFd) -> io::Result<Page> {
    // A number that is not open, or open for something else, must be an error and not undefined behaviour.
    let name = fs::read_link(format!("/proc/self/fd/{number}"))?;
    if !name.to_string_lossy().starts_with("/memfd:cloud-slot") {
        return Err(io::Error::other("the inherited descriptor is not a slot's page"));
    }
    // SAFETY: it is open, and it is ours: only a parent of this crate makes a memfd of this name for its slot.
    let file = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(&file, FdFlags::CLOEXEC)?;
    Page::map(&file)
}

/// The number that a child finds an inherited descriptor under.
pub(super) fn number_of(fd: &OwnedFd) -> RawFd {
    fd.as_raw_fd()
}

/// Removes a variable from this process's environment.
///
/// # Errors
/// When the process has more than one thread already, since another could be reading the environment.
pub(super) fn remove_variable(name: &str) -> io::Result<()> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("threads are running already"));
    }
    // SAFETY: this is the only thread, as just counted.
    unsafe { std::env::remove_var(name) };
    Ok(())
}

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

use super::parcel::Direction;
use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, ftruncate, memfd_create},
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
    /// Large inputs that the slot is done with, and large results that the parent is done with.
    inputs_taken: AtomicU64,
    results_taken: AtomicU64,
}

/// The shared page, mapped: the words above, and after them in the same file the places for large bodies.
#[derive(Debug)]
pub(super) struct Page {
    words: NonNull<Words>,
    file: OwnedFd,
}

// SAFETY: the page is only ever used through atomics, and stays mapped until the `Page` is dropped.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// A page whose descriptor is inherited by the processes started until [`keep_to_self`](Page::keep_to_self). Nothing
    /// depends on which others get it.
    pub(super) fn create() -> io::Result<Page> {
        let file = memfd_create(c"cloud-slot", MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, size_of::<Words>() as u64)?;
        // So that whoever has mapped a part of it will find it there.
        fcntl_add_seals(&file, SealFlags::SHRINK)?;
        Page::map(file)
    }

    pub(super) fn keep_to_self(&self) -> io::Result<()> {
        Ok(fcntl_setfd(&self.file, FdFlags::CLOEXEC)?)
    }

    /// The number that a child finds the page under.
    pub(super) fn number(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// The file, for bodies too large for the pipes.
    pub(super) fn file(&self) -> &OwnedFd {
        &self.file
    }

    fn map(file: OwnedFd) -> io::Result<Page> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                size_of::<Words>(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &file,
                0,
            )?
        };
        let words = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
        Ok(Page { words, file })
    }

    fn words(&self) -> &Words {
        // SAFETY: page-aligned, mapped for as long as `self` lives, zero-filled by the kernel at first, and any bits are
        // a valid `AtomicU64`.
        unsafe { self.words.as_ref() }
    }

    /// The slot begins chunk `number`; false when the parent has taken it back.
    #[inline]
    pub(super) fn claim(&self, number: u64, now: u64) -> bool {
        let words = self.words();
        words.started.store(now, Ordering::Relaxed);
        let mine =
            words.claimed.compare_exchange(number - 1, number, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !mine {
            self.finish();
        }
        mine
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

    /// Whoever read a large body is done with it: its place is free again.
    pub(super) fn count_taken(&self, direction: Direction) {
        self.taken_word(direction).fetch_add(1, Ordering::Release);
    }

    /// How many large bodies of this direction were read so far.
    pub(super) fn taken(&self, direction: Direction) -> u64 {
        self.taken_word(direction).load(Ordering::Acquire)
    }

    fn taken_word(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::Inputs => &self.words().inputs_taken,
            Direction::Results => &self.words().results_taken,
        }
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
        let _ = unsafe { munmap(self.words.as_ptr().cast(), size_of::<Words>()) };
    }
}

/// One place in the page's file, mapped to be read.
#[derive(Debug)]
pub(super) struct View {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: memory that is only read.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    /// # Errors
    /// When the file ends before that, or no address is left.
    pub(super) fn of(page: &Page, offset: u64, length: usize) -> io::Result<View> {
        // Reading a mapping beyond its file's end is a deadly signal; before it, it never becomes one, see `Page::create`.
        if (fstat(&page.file)?.st_size as u64) < offset + length as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe {
            mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, &page.file, offset)?
        };
        Ok(View { start: NonNull::new(start.cast()).ok_or(Errno::NOMEM)?, length })
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Its first bytes. Only for the `Inlet` whose place it is, while that is open.
    pub(super) fn bytes(&self, length: usize) -> &[u8] {
        assert!(length <= self.length, "a view is as long as the parcels in it");
        // SAFETY: mapped for as long as `self` lives, and any bits are bytes. They do not change while they are looked at:
        // an `Inlet` opens a place only when it was told that it is filled, and the `Outlet` at its other end writes there
        // again only after the `Inlet` has handed the place back, for which nobody may borrow from it. Both ends write by
        // system calls alone, so a place is mapped writable nowhere and no stray pointer of user code leads into it.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), length) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: this mapping was made by `of` with this length, and nothing borrows from it any more. An error would
        // leak addresses, nothing else.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
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
    let page = Page::map(file)?;
    page.keep_to_self()?;
    Ok(page)
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

//! The function table: linker sections that functions write themselves into.
//!
//! Compiling `map(f, ..)` compiles [`anchor`] for that very `f`, and the assembler directives in it put a
//! pointer to `f`'s descriptor into a section of the program. A slot is the same program, so it walks the
//! section and finds the function by the bits of its `TypeId` and by its name. No address crosses a
//! process boundary, and only addresses from the section are ever called.
//!
//! The directives are on the Rust Reference's list that every assembler of these targets supports, and `sym`
//! operands are stable. Flag `R` (SHF_GNU_RETAIN) keeps the section through `--gc-sections`.

#![expect(unsafe_code, reason = "linker sections, and functions made from their types alone")]

use std::{
    any::TypeId,
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    mem::{MaybeUninit, size_of},
    sync::OnceLock,
    time::Duration,
};

use super::shape::{Entry, Shape};
use crate::error::{Error, Result};

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("`cloud` runs on Linux, on x86-64 and aarch64");

type Describe = fn() -> Entry;
type DescribeRemote = fn() -> RemoteEntry;

/// What `#[cloud::remote(..)]` says about a function.
#[derive(Debug, Clone, Copy)]
pub struct RemoteOptions {
    /// `name = ".."`
    pub name: Option<&'static str>,
    /// `timeout = ".."`
    pub timeout: Option<Duration>,
    /// `retries = ..`
    pub retries: Option<u32>,
}

/// Implemented by `#[cloud::remote]` on a type of its own beside the function.
#[doc(hidden)]
pub trait Remote: 'static {
    const OPTIONS: RemoteOptions;
    const PATH: &'static str;

    /// The function's own [`function_bits`].
    fn function() -> u64;
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct RemoteEntry {
    pub(crate) function: u64,
    pub(crate) path: &'static str,
    pub(crate) options: RemoteOptions,
}

/// Registers the shape `S` by being compiled, and returns its entry.
#[inline(never)]
pub(crate) fn anchor<S: Shape>() -> Entry {
    // SAFETY: only directives: they add a pointer-sized word to a section of ours and no instruction here.
    unsafe {
        core::arch::asm!(
            ".pushsection cloud_functions_1,\"awR\",%progbits", ".balign 8", ".quad {entry}", ".popsection",
            entry = sym <S as Shape>::entry, options(nomem, nostack, preserves_flags));
    }
    S::entry()
}

/// Registers the attribute `A` by being compiled. The attribute's expansion keeps a pointer to this function, which
/// is what makes the compiler compile it.
#[doc(hidden)]
#[inline(never)]
pub fn enlist<A: Remote>() {
    fn describe<A: Remote>() -> RemoteEntry {
        RemoteEntry { function: A::function(), path: A::PATH, options: A::OPTIONS }
    }
    // SAFETY: as in `anchor`.
    unsafe {
        core::arch::asm!(
            ".pushsection cloud_remotes_1,\"awR\",%progbits", ".balign 8", ".quad {entry}", ".popsection",
            entry = sym describe::<A>, options(nomem, nostack, preserves_flags));
    }
}

// One empty word each, so that the sections, and with them the linker's start and stop symbols, always exist.
#[used]
// SAFETY: the word has the type of every other word in the section; `None` is its null.
#[unsafe(link_section = "cloud_functions_1")]
static NO_FUNCTION: Option<Describe> = None;
#[used]
// SAFETY: as above.
#[unsafe(link_section = "cloud_remotes_1")]
static NO_REMOTE: Option<DescribeRemote> = None;

fn functions() -> &'static [Option<Describe>] {
    #[expect(improper_ctypes, reason = "the linker's symbols, never called from C")]
    // SAFETY: the linker defines both for a section whose name is a C identifier, with the section's bounds.
    unsafe extern "C" {
        #[link_name = "__start_cloud_functions_1"]
        static START: Option<Describe>;
        #[link_name = "__stop_cloud_functions_1"]
        static STOP: Option<Describe>;
    }
    // SAFETY: between the two lie only words of this type: those of `anchor` and `NO_FUNCTION`.
    unsafe { between(&raw const START, &raw const STOP) }
}

fn remotes() -> &'static [Option<DescribeRemote>] {
    #[expect(improper_ctypes, reason = "the linker's symbols, never called from C")]
    // SAFETY: as in `functions`.
    unsafe extern "C" {
        #[link_name = "__start_cloud_remotes_1"]
        static START: Option<DescribeRemote>;
        #[link_name = "__stop_cloud_remotes_1"]
        static STOP: Option<DescribeRemote>;
    }
    // SAFETY: between the two lie only words of this type: those of `enlist` and `NO_REMOTE`.
    unsafe { between(&raw const START, &raw const STOP) }
}

/// # Safety
/// `start..stop` must be initialised, constant memory of `T`s for the program's whole life.
unsafe fn between<T>(start: *const T, stop: *const T) -> &'static [T] {
    let count = (stop.addr() - start.addr()) / size_of::<T>();
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(start, count) }
}

/// The entry with this id and name, if this program has one.
pub(crate) fn find(id: u64, name: &str) -> Option<Entry> {
    static BY_ID: OnceLock<HashMap<u64, Entry>> = OnceLock::new();
    let by_id = BY_ID
        .get_or_init(|| functions().iter().flatten().map(|describe| describe()).map(|e| (e.id, e)).collect());
    by_id.get(&id).filter(|entry| entry.name == name).copied()
}

/// What `#[cloud::remote]` says about a function.
///
/// # Errors
/// [`Error::DuplicateName`] when two functions of the program carry one name.
pub(crate) fn remote_of(function: u64) -> Result<Option<RemoteOptions>> {
    type Table = std::result::Result<HashMap<u64, RemoteOptions>, (&'static str, &'static str, &'static str)>;
    static BY_FUNCTION: OnceLock<Table> = OnceLock::new();
    let table = BY_FUNCTION.get_or_init(|| {
        let mut named: HashMap<&str, RemoteEntry> = HashMap::new();
        let mut by_function = HashMap::new();
        for remote in remotes().iter().flatten().map(|describe| describe()) {
            // One attribute may be compiled into several objects; only another function is a clash.
            if let Some(name) = remote.options.name
                && let Some(other) = named.insert(name, remote)
                && other.function != remote.function
            {
                return Err((name, other.path, remote.path));
            }
            by_function.insert(remote.function, remote.options);
        }
        Ok(by_function)
    });
    match table {
        Ok(by_function) => Ok(by_function.get(&function).copied()),
        Err((name, first, second)) => Err(Error::DuplicateName { name, first, second }),
    }
}

/// The bits of a type's `TypeId`: the same in every process of one build, other in every other build.
pub(crate) fn type_bits<T: 'static>() -> u64 {
    let mut hasher = DefaultHasher::new(); // fixed keys, unlike a `HashMap`'s
    TypeId::of::<T>().hash(&mut hasher);
    hasher.finish()
}

/// Names a function by its type. `F` is inferred from the value, since functions' types cannot be written.
#[doc(hidden)]
pub fn function_bits<F: 'static>(_: F) -> u64 {
    type_bits::<F>()
}

/// A function made from its type.
///
/// `F` is `Fn`, which stable Rust does not let users implement, and has no size: so it is a function or a closure
/// that captures nothing, and no data is missing in a value made from nothing. One hole is left and accepted: a
/// closure that captures a zero-sized `Copy` token, as a proof of something, is made anew in a process where
/// the token was never handed out.
pub(crate) fn conjure<F: Copy + 'static>() -> F {
    const { assert!(size_of::<F>() == 0) };
    #[expect(clippy::uninit_assumed_init, reason = "a value without bytes has none that is uninitialised")]
    // SAFETY: zero-sized, so every bit of it is initialised; inhabited, since the client held one to call `map`.
    unsafe {
        MaybeUninit::<F>::uninit().assume_init()
    }
}

/// Runs `hook` before `main`, so that a test program, which has a `main` of its own, can be a slot.
///
/// At that time the C library is set up and there is one thread; Rust's own handler for stack overflow is not
/// installed, so an overflow in such a slot is a bare SIGSEGV.
#[cfg(feature = "test")]
pub(crate) mod test_hook {
    extern "C" fn hook() {
        crate::role::init_before_main();
    }

    #[used]
    // SAFETY: `.init_array` holds pointers to functions that take nothing we use and return nothing.
    #[unsafe(link_section = ".init_array")]
    static HOOK: extern "C" fn() = hook;
}

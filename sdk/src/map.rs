//! [`map`] and its kin, and the [`Map`] they return: what to run, over what, and how.

use std::{ffi::OsString, marker::PhantomData, time::Duration};

use crate::{
    error::{Error, Result},
    event::Reporter,
    function::{
        ByReply, ByTry, Codec, Entry, Limit, PerItem, Reply, TryReply, Wire, WithShared, anchor,
        assert_captures_nothing, encode_shared,
    },
    inputs::{Inputs, Iter, Source},
    names::{DEFAULT_MAX_BYTES, MAX_BYTES_LIMIT},
    settings::{Asked, Backend},
    worker::ExtraEnv,
};

/// Runs `f` once, in a slot.
///
/// ```
/// fn square(x: u64) -> u64 {
///     x * x
/// }
/// # fn main() -> cloud::Result<()> {
/// assert_eq!(cloud::call(square, 12).wait()?, 144);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As for [`map`]; the failure of the one chunk is in [`Error::Failed`].
pub fn call<F, I, R, K>(f: F, input: I) -> Map<Iter<std::iter::Once<I>>, R::Output, One>
where
    I: Wire,
    F: Fn(I) -> R + Copy + 'static,
    R: Reply<K> + 'static,
    K: 'static,
{
    const { assert_captures_nothing::<F>() };
    let _ = f;
    Map::new(anchor::<PerItem<F, I, R, ByReply<K>>>(), None, Inputs::into_source(std::iter::once(input)))
}

/// Runs `f` on every chunk of `inputs`, in parallel, and gives the values in the order of the inputs.
///
/// `f` is a function (generic instances and `async fn` too) or a closure that captures nothing (`async` too). It is run
/// at least once on each chunk; a chunk may be begun again when its slot dies.
/// `inputs` is anything iterable, or a [`Stream`](futures_core::Stream); it is pulled as fast as slots take, so it
/// may be endless, and it needs neither `Send` nor `'static`.
///
/// Nothing happens until the returned [`Map`] is awaited (or `.wait()`ed, streamed, ..).
///
/// ```
/// fn count(words: String) -> usize {
///     words.split_whitespace().count()
/// }
/// # fn main() -> cloud::Result<()> {
/// let texts = ["to be or not".to_string(), "to be".to_string()];
/// assert_eq!(cloud::map(count, texts).wait()?, [4, 2]);
/// assert_eq!(cloud::map(|x| x * 2 + 1, 0u64..3).wait()?, [1, 3, 5]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Failed`] lists every chunk that failed after all were run; any other error means that the run could not go
/// on. [`Map::outcomes`] gives the other chunks' values too.
///
/// # Captures
/// A closure that captures does not compile, since captured data would not reach the other process. What the compiler says
/// depends on the capture: our own text for `Copy` values, `the trait Copy is not implemented` for others such as a `Vec`,
/// `closure may outlive the current function` for borrows. The remedy is the same: put the data into each
/// item, or share it with [`map_with`].
pub fn map<F, X, M, R, K>(f: F, inputs: X) -> Map<X::Source, R::Output>
where
    X: Inputs<M>,
    X::Item: Wire,
    F: Fn(X::Item) -> R + Copy + 'static,
    R: Reply<K> + 'static,
    K: 'static,
{
    const { assert_captures_nothing::<F>() };
    let _ = f;
    Map::new(anchor::<PerItem<F, X::Item, R, ByReply<K>>>(), None, inputs.into_source())
}

/// Like [`map`], with data that all chunks share: it is encoded once, sent to each slot once, and decoded once a slot.
///
/// ```
/// # fn main() -> cloud::Result<()> {
/// let primes = vec![2u64, 3, 5, 7];
/// let divisors = cloud::map_with(primes, |primes, n: u64| primes.iter().filter(|p| n % **p == 0).count(), [30, 49]);
/// assert_eq!(divisors.wait()?, [3, 1]);
/// # Ok(())
/// # }
/// ```
///
/// An async function cannot hold on to the reference; clone what it needs, first:
///
/// ```
/// # fn main() -> cloud::Result<()> {
/// let sums = cloud::map_with(
///     10u64,
///     |base, n: u64| {
///         let base = *base;
///         async move { base + n }
///     },
///     [1, 2],
/// );
/// assert_eq!(sums.wait()?, [11, 12]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As for [`map`], and [`Error::Shared`] if the shared data cannot be encoded or not be read back.
#[expect(clippy::needless_pass_by_value, reason = "reads as what it is: handed over, like the items")]
pub fn map_with<S, F, X, M, R, K>(shared: S, f: F, inputs: X) -> Map<X::Source, R::Output>
where
    S: Wire,
    X: Inputs<M>,
    X::Item: Wire,
    F: Fn(&S, X::Item) -> R + Copy + 'static,
    R: Reply<K> + 'static,
    K: 'static,
{
    const { assert_captures_nothing::<F>() };
    let _ = f;
    let shared = encode_shared(&shared);
    Map::new(anchor::<WithShared<F, S, X::Item, R, ByReply<K>>>(), Some(shared), inputs.into_source())
}

/// Like [`map`], for a function that returns a `Result`: an `Err` fails its chunk, may be tried again under
/// [`.retries(..)`](Map::retries), and keeps the chain of its sources as text.
///
/// The error may be any `std::error::Error`, `anyhow::Error`, or `Box<dyn Error>` with or without `Send + Sync`. (A `Result`
/// whose error serde knows can also go through [`map`], as a plain value.)
///
/// ```
/// fn parse(text: String) -> Result<f64, std::num::ParseFloatError> {
///     text.parse()
/// }
/// # fn main() -> cloud::Result<()> {
/// let outcomes = cloud::try_map(parse, ["1.5".to_string(), "x".to_string()]).outcomes().wait()?;
/// assert_eq!(outcomes[0].as_ref().ok(), Some(&1.5));
/// assert!(matches!(&outcomes[1].as_ref().unwrap_err().kind, cloud::FailureKind::Error { .. }));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As for [`map`].
pub fn try_map<F, X, M, R, K>(f: F, inputs: X) -> Map<X::Source, R::Output>
where
    X: Inputs<M>,
    X::Item: Wire,
    F: Fn(X::Item) -> R + Copy + 'static,
    R: TryReply<K> + 'static,
    K: 'static,
{
    const { assert_captures_nothing::<F>() };
    let _ = f;
    Map::new(anchor::<PerItem<F, X::Item, R, ByTry<K>>>(), None, inputs.into_source())
}

/// [`try_map`] with shared data, as in [`map_with`].
///
/// # Errors
/// As for [`map_with`].
#[expect(clippy::needless_pass_by_value, reason = "reads as what it is: handed over, like the items")]
pub fn try_map_with<S, F, X, M, R, K>(shared: S, f: F, inputs: X) -> Map<X::Source, R::Output>
where
    S: Wire,
    X: Inputs<M>,
    X::Item: Wire,
    F: Fn(&S, X::Item) -> R + Copy + 'static,
    R: TryReply<K> + 'static,
    K: 'static,
{
    const { assert_captures_nothing::<F>() };
    let _ = f;
    let shared = encode_shared(&shared);
    Map::new(anchor::<WithShared<F, S, X::Item, R, ByTry<K>>>(), Some(shared), inputs.into_source())
}

/// A map that has not begun: a function, its inputs and options.
///
/// Then one of:
///
/// | | gives |
/// |---|---|
/// | `.await`, [`.wait()`](Map::wait) | all values in input order, or an error that lists every failure |
/// | [`.outcomes()`](Map::outcomes), then `.await` or `.wait()` | a `Result` for each chunk, in input order |
/// | [`.stream()`](Map::stream) | values as they finish |
/// | [`.details()`](Map::details) | the same with slot, attempt and time |
/// | [`.iter()`](Map::iter) | the stream as a blocking iterator |
///
/// # Cancellation
/// Dropping the future, stream or iterator cancels the run: slots that are inside a chunk are killed, the others stay
/// warm for the next map.
///
/// # Progress
/// Chunks are fed, results taken and timeouts checked by whoever polls. Any executor will do; while nobody polls, slots
/// finish what they have in hand (about a millisecond of work) and wait.
#[must_use = "a map is lazy: nothing runs until it is awaited, or `.wait()` is called"]
pub struct Map<S, T, G = Every> {
    pub(crate) source: S,
    pub(crate) plan: Plan,
    shape: PhantomData<fn() -> (T, G)>,
}

/// Gathers all values; what [`map`] does.
#[derive(Debug)]
pub struct Every(());

/// Gathers the one value of [`call`].
#[derive(Debug)]
pub struct One(());

/// Gathers a `Result` for each chunk; what [`Map::outcomes`] does.
#[derive(Debug)]
pub struct Outcomes(());

/// A function and the options of its run; no types, no inputs.
pub(crate) struct Plan {
    pub(crate) entry: Entry,
    /// Rust's name for the type of the values.
    pub(crate) output: &'static str,
    pub(crate) shared: Option<Result<(Codec, Vec<u8>)>>,
    pub(crate) asked: Asked,
    pub(crate) label: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) chunk_time: Option<Duration>,
    pub(crate) retries: Option<u32>,
    pub(crate) extra_env: ExtraEnv,
    pub(crate) max_result: u64,
    pub(crate) chunks_per_slot: Option<usize>,
    pub(crate) fail_fast: bool,
    pub(crate) reporter: Option<Box<dyn Reporter>>,
}

impl<S: Source, T: Wire, G> Map<S, T, G> {
    fn new(entry: Entry, shared: Option<Result<(Codec, Vec<u8>)>>, source: S) -> Map<S, T, G> {
        let plan = Plan {
            entry,
            output: std::any::type_name::<T>(),
            shared,
            asked: Asked::default(),
            label: None,
            timeout: None,
            chunk_time: None,
            retries: None,
            extra_env: ExtraEnv::new(),
            max_result: DEFAULT_MAX_BYTES,
            chunks_per_slot: None,
            fail_fast: false,
            reporter: None,
        };
        Map { source, plan, shape: PhantomData }
    }

    pub(crate) fn gathered_as<H>(self) -> Map<S, T, H> {
        Map { source: self.source, plan: self.plan, shape: PhantomData }
    }

    /// What progress and reports call the run. Default: the name of `#[cloud::remote(name = ..)]`, else the function's path.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.plan.label = Some(label.into());
        self
    }

    /// The most slots to use, from 1 to 1024. Default: `CLOUD_SLOTS`, else `cloud.toml`, else the cores this process may use.
    pub fn slots(mut self, slots: usize) -> Self {
        self.plan.asked.slots = Some(slots);
        self
    }

    /// The longest that one attempt at a chunk may take, by the wall clock, before its slot is killed. Default: none, or
    /// what `#[cloud::remote]` says.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.plan.timeout = Some(timeout);
        self
    }

    /// About how long one chunk takes. A run on the cloud path then cuts its blocks so that a worker that is lost loses hardly more
    /// than a minute of work, and that thousands of workers with quick chunks do not ask too much of the store. Default: unknown;
    /// blocks are then shares of what is left. No effect on `local` and `inline`, which have no blocks.
    pub fn chunk_time(mut self, time: Duration) -> Self {
        self.plan.chunk_time = Some(time);
        self
    }

    /// How often a chunk is tried again after an error, panic, crash, exit or timeout. Default: 0, or what
    /// `#[cloud::remote]` says. A chunk that merely waited in a slot that died is given to another without using one up.
    pub fn retries(mut self, retries: u32) -> Self {
        self.plan.retries = Some(retries);
        self
    }

    /// Adds a variable to the slots' environment, beside what they inherit from this process.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.plan.extra_env.insert(name.into(), Some(value.into()));
        self
    }

    /// The most bytes that one chunk's encoded result may have, and its encoded input too. Default 256 MiB, largest
    /// 4,294,967,295 less 1 MiB. A larger one fails its chunk.
    pub fn max_result(mut self, bytes: u64) -> Self {
        self.plan.max_result = bytes;
        self
    }

    /// Ends each slot's process after that many chunks and starts a new one: against leaks, or with 1 for a fresh process for
    /// every chunk (about a millisecond each). Default: processes serve on.
    pub fn chunks_per_slot(mut self, chunks: usize) -> Self {
        self.plan.chunks_per_slot = Some(chunks);
        self
    }

    /// Where to run. Default: `CLOUD_BACKEND`, else `cloud.toml`, else [`Backend::Local`].
    pub fn on(mut self, backend: impl Into<Backend>) -> Self {
        self.plan.asked.backend = Some(backend.into());
        self
    }

    /// Stops at the first chunk that fails for good, and reports only the failures known by then.
    pub fn fail_fast(mut self) -> Self {
        self.plan.fail_fast = true;
        self
    }

    /// Sends the run's events here instead of to the terminal.
    pub fn reporter(mut self, reporter: impl Reporter + 'static) -> Self {
        self.plan.reporter = Some(Box::new(reporter));
        self
    }

    /// All chunks' outcomes in input order, failures beside values.
    ///
    /// ```
    /// fn half(n: u32) -> u32 {
    ///     assert!(n % 2 == 0, "{n} is odd");
    ///     n / 2
    /// }
    /// # fn main() -> cloud::Result<()> {
    /// let outcomes = cloud::map(half, [4, 5, 6]).outcomes().wait()?;
    /// assert_eq!(outcomes[2].as_ref().ok(), Some(&3));
    /// assert_eq!(outcomes[1].as_ref().unwrap_err().message, "5 is odd");
    /// # Ok(())
    /// # }
    /// ```
    pub fn outcomes(self) -> Map<S, T, Outcomes> {
        self.gathered_as()
    }
}

impl Plan {
    /// Checks the numbers that no type rules out.
    pub(crate) fn limit(&self) -> Result<Limit> {
        let wrong = |option: &str, value: String, expected: &str| {
            Err(Error::Setting { origin: format!("`.{option}(..)`"), value, expected: expected.to_string() })
        };
        if self.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return wrong("timeout", "0s".into(), "a positive duration");
        }
        if self.chunk_time.is_some_and(|time| time.is_zero()) {
            return wrong("chunk_time", "0s".into(), "a positive duration");
        }
        if self.chunks_per_slot == Some(0) {
            return wrong("chunks_per_slot", "0".into(), "a positive number");
        }
        if !(1..=MAX_BYTES_LIMIT).contains(&self.max_result) {
            return wrong(
                "max_result",
                self.max_result.to_string(),
                &format!("from 1 to {MAX_BYTES_LIMIT} bytes"),
            );
        }
        Ok(Limit(self.max_result as usize))
    }
}

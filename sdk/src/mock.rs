//! The `mock` backend: how it is adjusted, and what it is made of.

mod expiry;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::{
    clock::SystemClock,
    compute::{
        MAX_WORKERS,
        simulated::{Hosted, Inside, Program, Rules},
    },
    engine::Site,
    error::{Error, Result},
    names::MOCK_FOLDER_VAR,
    runner::work_inside,
    settings::{Backend, usable_cores},
    store::{Dir, Memory, Retrying, Store},
    wire::{Options, StoreLocation},
    worker::is_initialised,
};

/// Workers that run at a time unless something else is said. Each takes a few descriptors and a thread of the host.
const CAPACITY: u32 = 64;

/// A worker has one virtual processor, and one slot.
const MILLI_VCPUS: u64 = 1000;

/// A rate of 1, in which rates are kept.
const MILLION: f64 = 1e6;

/// The whole cloud path on this machine: inputs go into a store (a folder), workers are started by a simulation of AWS Batch, as
/// processes, and find their work in the store. Only the places differ from AWS, so what works here works there: for tests,
/// for CI, for rehearsals. Costs nothing, needs no account.
///
/// As there, nothing is begun before the last input is packed, so an endless input never ends; and workers inherit little: the
/// working directory is `/`, of the environment they have `PATH`, `HOME`, `USER`, `LANG`, `LC_ALL`, `TZ`, `TMPDIR`, `LD_LIBRARY_PATH`,
/// `RUST_BACKTRACE` and what `.env(..)` gives. What they print goes to `batch/logs` in the folder.
///
/// Made by [`Backend::mock`]; whatever is not said here comes from `CLOUD_MOCK`, else `mock` in `cloud.toml`, as
/// `seed=7,spot_kill_rate=0.2`.
///
/// A test for a program's own CI (with the feature `test` in its dev-dependencies): the same values, whatever gets lost.
///
/// ```
/// use std::time::Duration;
/// use cloud::Backend;
///
/// fn simulate(seed: u64) -> u64 {
///     seed.wrapping_mul(6_364_136_223_846_793_005)
/// }
///
/// # /*
/// #[test]
/// # */
/// fn lost_workers_change_nothing() -> cloud::Result<()> {
///     let folder = tempfile::tempdir().expect("a scratch folder");
///     let expected = cloud::map(simulate, 0..50).wait()?;
///     for seed in 0..3 {
///         let backend = Backend::mock()
///             .at(folder.path())
///             .seed(seed)
///             .start_delay(Duration::from_millis(20))
///             .spot_kill_rate(0.5)
///             .capacity(4);
///         assert_eq!(cloud::map(simulate, 0..50).on(backend).wait()?, expected);
///     }
///     Ok(())
/// }
/// # lost_workers_change_nothing().unwrap();
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mock {
    seed: Option<u64>,
    start_delay: Option<Duration>,
    spot_kill_millionths: Option<u32>,
    throttle: Option<u32>,
    capacity: Option<u32>,
    folder: Option<PathBuf>,
    memory: Option<InMemory>,
}

/// A store and a Batch in this process, made when they are first used.
#[derive(Debug, Clone, Default)]
struct InMemory(Arc<OnceLock<(Arc<dyn Store>, Inside)>>);

impl PartialEq for InMemory {
    fn eq(&self, other: &InMemory) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for InMemory {}

impl Mock {
    pub(crate) const ALLOWED: &str =
        "a list such as `seed=7,start_delay=50ms,spot_kill_rate=0.2,throttle=10,capacity=8`";

    /// Where all chance comes from. The same seed gives the same delays and losses. Default 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Mock {
        self.seed = Some(seed);
        self
    }

    /// The longest that a worker takes to start: on AWS half a minute is usual. Each takes between half of it and all. Default
    /// none.
    #[must_use]
    pub fn start_delay(mut self, delay: Duration) -> Mock {
        self.start_delay = Some(delay);
        self
    }

    /// The share of worker starts that are taken back within a second, as Spot capacity may be: from 0 (the default) to 1.
    /// Half of them are told before, by SIGTERM.
    #[must_use]
    pub fn spot_kill_rate(mut self, rate: f64) -> Mock {
        self.spot_kill_millionths = Some((rate.clamp(0.0, 1.0) * MILLION) as u32);
        self
    }

    /// Calls to Batch a second that are answered; those above are refused for now, as AWS does above about 50. Default: all.
    #[must_use]
    pub fn throttle(mut self, calls_a_second: u32) -> Mock {
        self.throttle = Some(calls_a_second.max(1));
        self
    }

    /// How many workers run at a time, and how many a map asks for unless `.slots(..)` says otherwise. Default: 64 run at a
    /// time, and a map asks for as many as there are cores that this process may use.
    #[must_use]
    pub fn capacity(mut self, workers: u32) -> Mock {
        self.capacity = Some(workers.max(1));
        self
    }

    /// The folder that holds runs and the simulated Batch. Default: `CLOUD_MOCK_FOLDER`, else `cloud/mock` in the user's
    /// state directory (`XDG_STATE_HOME`, else `~/.local/state`). Runs are removed from it after a week. Whoever may write there
    /// may run programs as this user.
    #[must_use]
    pub fn at(mut self, folder: impl Into<PathBuf>) -> Mock {
        self.folder = Some(folder.into());
        self
    }

    /// Keeps runs in this process's memory, in place of a folder, and workers on its threads; only slots are processes. Runs
    /// end with the program, and are found by clones of this value alone.
    #[must_use]
    pub fn in_memory(mut self) -> Mock {
        self.memory = Some(InMemory::default());
        self
    }

    /// What the text says, where the code says nothing. `None` if it is no such list.
    pub(crate) fn or_as(self, text: &str) -> Option<Mock> {
        let mut said = Mock::default();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (name, value) = pair.split_once('=')?;
            let value = value.trim();
            said = match name.trim() {
                "seed" => said.seed(value.parse().ok()?),
                "start_delay" => said.start_delay(humantime::parse_duration(value).ok()?),
                "spot_kill_rate" => {
                    said.spot_kill_rate(value.parse().ok().filter(|rate| (0.0..=1.0).contains(rate))?)
                }
                "throttle" => said.throttle(value.parse().ok().filter(|calls| *calls > 0)?),
                "capacity" => said.capacity(value.parse().ok().filter(|workers| *workers > 0)?),
                _ => return None,
            };
        }
        Some(Mock {
            seed: self.seed.or(said.seed),
            start_delay: self.start_delay.or(said.start_delay),
            spot_kill_millionths: self.spot_kill_millionths.or(said.spot_kill_millionths),
            throttle: self.throttle.or(said.throttle),
            capacity: self.capacity.or(said.capacity),
            folder: self.folder,
            memory: self.memory,
        })
    }

    /// How many workers a map gets that asked for so many slots, or for none.
    pub(crate) fn workers(&self, slots: Option<usize>) -> u32 {
        let wanted = slots.map(|slots| slots as u32).or(self.capacity);
        wanted.unwrap_or_else(|| usable_cores() as u32).clamp(1, MAX_WORKERS)
    }

    /// How its runs are run.
    pub(crate) fn options(&self) -> Options {
        Options {
            slots: 1,
            timeout: None,
            retries: 0,
            max_bytes: 0,
            chunks_per_slot: None,
            environment: Vec::new(),
            worker_deadline: Duration::from_secs(24 * 3600),
            attempts: 5,
            milli_vcpus: MILLI_VCPUS as u32,
            memory: 2048,
            repairs: 4,
            start_within: Duration::from_secs(15 * 60),
        }
    }

    /// Its store and its Batch.
    pub(crate) fn site(&self) -> Result<Site> {
        // Workers and the simulated Batch are this program, started again.
        if !is_initialised() {
            return Err(Error::NotInitialised);
        }
        if let Some(InMemory(made)) = &self.memory {
            return self.site_in_memory(made);
        }
        let folder = self.folder()?;
        let unusable = |error: String| Error::Folder { path: folder.clone(), reason: error };
        // A few calls to the system, and nothing else to do meanwhile.
        let dir = pollster::block_on(Dir::open(&folder)).map_err(|error| unusable(error.to_string()))?;
        expiry::expire(&folder, &dir);
        let compute = Hosted::new(&folder.join("batch"), self.rules(), Program::own())
            .map_err(|error| unusable(error.to_string()))?;
        let Some(location) = folder.to_str().map(str::to_string) else {
            return Err(unusable("its name is not UTF-8, and workers are told of it by a variable".into()));
        };
        Ok(Site {
            store: Arc::new(Retrying::new(dir)),
            compute: Arc::new(compute),
            clock: Arc::new(SystemClock::new()),
            location: StoreLocation::Dir(location),
        })
    }

    fn site_in_memory(&self, made: &OnceLock<(Arc<dyn Store>, Inside)>) -> Result<Site> {
        if made.get().is_none() {
            let store: Arc<dyn Store> = Arc::new(Memory::new());
            let workers_store = Arc::clone(&store);
            let batch = Inside::new(self.rules(), move |container, stop| {
                let store = Arc::clone(&workers_store);
                Box::pin(async move { work_inside(store, &container.environment, stop.told()).await.into() })
            });
            let batch = batch.map_err(|error| Error::Following { reason: error.to_string() })?;
            // Another thread may have been first; then that one's it is.
            let _ = made.set((store, batch));
        }
        let (store, batch) = made.get().expect("it was just set, by whomever");
        Ok(Site {
            store: Arc::clone(store),
            compute: Arc::new(batch.with_rules(self.rules())),
            clock: Arc::new(SystemClock::new()),
            location: StoreLocation::Memory,
        })
    }

    fn folder(&self) -> Result<PathBuf> {
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = self.folder.clone().or_else(|| variable(MOCK_FOLDER_VAR));
        let state = || variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
        let folder = folder.or_else(|| Some(state()?.join("cloud/mock")));
        let folder = folder.ok_or_else(|| Error::Setting {
            origin: format!("`{MOCK_FOLDER_VAR}` (environment)"),
            value: String::new(),
            expected: "a folder, since neither `XDG_STATE_HOME` nor `HOME` is set".into(),
        })?;
        // Workers have another working directory.
        std::path::absolute(&folder)
            .map_err(|error| Error::Folder { path: folder, reason: error.to_string() })
    }

    fn rules(&self) -> Rules {
        let start_delay = self.start_delay.unwrap_or_default();
        let kills = f64::from(self.spot_kill_millionths.unwrap_or_default()) / MILLION;
        Rules {
            seed: self.seed.unwrap_or_default(),
            start_delay: start_delay / 2..=start_delay,
            // Either may come, and then the earlier counts.
            spot_kill_rate: 1.0 - (1.0 - kills).sqrt(),
            host_loss_rate: 1.0 - (1.0 - kills).sqrt(),
            killed_within: Duration::from_secs(1),
            stop_grace: Duration::from_secs(2),
            throttle: self.throttle,
            capacity: Some(u64::from(self.capacity.unwrap_or(CAPACITY)) * MILLI_VCPUS),
            ..Rules::default()
        }
    }
}

impl From<Mock> for Backend {
    fn from(mock: Mock) -> Backend {
        Backend::Mock(mock)
    }
}

//! Every name and number that users or other parts can meet: variables, files, limits, defaults.

use std::time::Duration;

/// Where to run: `inline`, `local` or `mock`. Beats `cloud.toml`, loses to `.on(..)`.
pub const BACKEND_VAR: &str = "CLOUD_BACKEND";

/// How many slots a map may use; a positive number. Beats `cloud.toml`, loses to `.slots(..)`.
pub const SLOTS_VAR: &str = "CLOUD_SLOTS";

/// How the `mock` backend behaves, as `seed=7,spot_kill_rate=0.2`. Beats `cloud.toml`, loses to the code.
pub const MOCK_VAR: &str = "CLOUD_MOCK";

/// The folder of the `mock` backend. Loses to `.at(..)`.
pub const MOCK_FOLDER_VAR: &str = "CLOUD_MOCK_FOLDER";

/// What is shown of a run: `auto` (a bar on a terminal, nothing elsewhere), `bar`, `json` or `off`.
pub const PROGRESS_VAR: &str = "CLOUD_PROGRESS";

/// Set by a client for the slots it starts, and removed by the slot at once. Never set it yourself.
pub const SLOT_VAR: &str = "CLOUD_SLOT";

/// Tells a worker's container which run it works for, and where that is.
pub const RUN_VAR: &str = "CLOUD_RUN";

/// Tells a worker's container the SHA-256 of the run's manifest.
pub const MANIFEST_VAR: &str = "CLOUD_MANIFEST";

/// Set in a container: this process is a worker. In a simulated one its value is the process number of the host that started
/// it, with which it is to end. Never set it yourself.
pub const WORKER_VAR: &str = "CLOUD_WORKER";

/// Set by a client for the process that simulates AWS Batch in a folder; its value is that folder. Never set it yourself.
pub const BATCH_HOST_VAR: &str = "CLOUD_BATCH_HOST";

/// The settings file, looked for in the current directory and then in each one above it.
pub const SETTINGS_FILE: &str = "cloud.toml";

/// Largest encoded input or result of one chunk unless `.max_result(..)` says otherwise: 256 MiB.
pub const DEFAULT_MAX_BYTES: u64 = 256 << 20;

/// Largest value that `.max_result(..)` takes: a frame's length is 32 bits wide.
pub const MAX_BYTES_LIMIT: u64 = u32::MAX as u64 - (1 << 20);

/// Most slots one map may ask for.
pub const MAX_SLOTS: usize = 1024;

/// How much work lies ahead of a slot: enough to hide a round trip (about 10 us) and little enough
/// that hardly a chunk is ever stuck behind a slow one.
pub(crate) const FEED_AHEAD: Duration = Duration::from_millis(1);

/// Encoded results that `.ordered()` holds for a straggler before it stops feeding: 64 MiB.
pub const REORDER_BYTES: usize = 64 << 20;

/// How often progress is reported at most.
pub(crate) const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Pipe buffers. Linux lets one user own 64 MiB of them before it refuses to enlarge
/// (`/proc/sys/fs/pipe-user-pages-soft`, 16,384 pages), so two of 256 KiB serve 128 slots.
pub(crate) const PIPE_BYTES: usize = 256 << 10;

/// A slot that has not said hello by then is given up: loading a program takes milliseconds.
pub(crate) const HELLO_WITHIN: Duration = Duration::from_secs(20);

/// Slots in a row that may die with no chunk to blame and no result before the run gives up.
pub(crate) const STILLBORN_SLOTS: u32 = 3;

/// How often a request to a store is sent at most.
pub const STORE_ATTEMPTS: u32 = 8;

/// The first pause before a request is sent again is at most this long, each further one at most twice as long.
pub const STORE_FIRST_PAUSE: Duration = Duration::from_millis(50);

/// No pause before a request is sent again is longer.
pub const STORE_LONGEST_PAUSE: Duration = Duration::from_secs(5);

//! Runs on a simulated store and a simulated Batch, in simulated time, with faults: one seed, one history.
//!
//! ```text
//! plan.rs      what a seed means             world.rs     time, chance, objects, Batch
//! executor.rs  processes: start, poll, kill  effect.rs    one call: under way, and struck by faults
//! client.rs    a client and its owner        store.rs, compute.rs   the seams
//! crew.rs      a worker's slots              audit.rs     what must hold
//! explore.rs   claims in every order         promises.rs  what clients are promised
//! sabotage.rs  rules broken on purpose       balance.rs   how evenly work is spread
//! tests.rs     what runs in CI, and how to replay a seed
//! ```
//!
//! A process is one future, and its death is that it is never polled again and that none of its calls goes out any more;
//! calls that are on their way may still arrive.

mod audit;
mod balance;
mod client;
mod compute;
mod crew;
mod effect;
mod executor;
mod explore;
mod plan;
mod promises;
mod sabotage;
mod store;
mod tests;
mod world;

//! Real processes on the whole cloud path, killed at named moments.
//!
//! ```text
//! points.rs   where who is killed: a table       scene.rs    one run of a row of that table
//! client.rs   a client as a process of its own   place.rs    what lies in a folder, and who works in it
//! poison.rs   chunks that kill their workers     strays.rs   workers that nobody waits for
//! damage.rs   objects that are not as written    stop.rs     SIGTERM
//! bare.rs     a worker without a Batch
//! ```

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "helpers of tests")]

mod bare;
mod client;
mod damage;
mod place;
mod points;
mod poison;
mod scene;
mod stop;
mod strays;

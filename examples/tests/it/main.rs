//! The example programs as their users start them: as processes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod failures;
mod mandelbrot;
mod montecarlo_pi;
mod peer;
mod program;
mod runs;

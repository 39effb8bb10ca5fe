//! What the example programs share.

mod ending;
mod files;
mod grid;
mod measured;
mod picture;
mod report;
mod schedule;
mod timing;

pub use ending::{Ending, exit_code};
pub use files::{read_grid, read_naps};
pub use grid::{Chunk, Grid, MAXITER, SUM, WIDTH, calculate_z, check_sum};
pub use measured::{Measured, Row, Used, Watch};
pub use picture::{colour, write_png};
pub use report::{Table, print_report};
pub use timing::{Start, print_line, repeat, warm_up};

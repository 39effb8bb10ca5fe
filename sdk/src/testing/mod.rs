//! What every implementation of a seam must do, as tests: run them on your own. Feature `testing`.

pub mod wire;

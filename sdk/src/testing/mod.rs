//! What every implementation of a seam must do, as tests: run them on your own. Feature `testing`.

mod store;
pub mod wire;

pub use store::store_conforms;

//! placeholder

/// placeholder
#[derive(Debug)]
pub struct Dir;

//! placeholder

/// placeholder
#[derive(Debug)]
pub struct Retrying<S>(S);

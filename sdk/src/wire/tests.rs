mod any;
mod bounds;
mod frames;
mod golden;
mod keys;
mod manifest;
mod mutations;
mod objects;

use proptest::prelude::ProptestConfig;

/// `cases` of a property, without files that remember failures: the failing value is printed.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

//~ exit 1
//~ within 40
//~ stderr it has not said hello within

use std::{thread::sleep, time::Duration};

fn main() -> cloud::Result<()> {
    if std::env::var_os(cloud::names::SLOT_VAR).is_some() {
        sleep(Duration::from_secs(60));
    }
    cloud::init();
    cloud::map(|x: u64| 2 * x, 0..4).wait().map(drop)
}

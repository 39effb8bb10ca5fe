//~ expected a positive duration, such as "500ms", "90s", "15m" or "2h"

#[cloud::remote(timeout = "90")]
fn twice(x: u64) -> u64 {
    2 * x
}

#[cloud::main]
fn main() {}

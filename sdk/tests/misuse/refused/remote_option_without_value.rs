//~ expected `name = ".."`, `timeout = "90s"` or `retries = 2`

#[cloud::remote(name)]
fn twice(x: u64) -> u64 {
    2 * x
}

#[cloud::main]
fn main() {}

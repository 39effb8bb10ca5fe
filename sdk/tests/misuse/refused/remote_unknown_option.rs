//~ unknown option, expected `name`, `timeout` or `retries`

#[cloud::remote(memory = 4)]
fn twice(x: u64) -> u64 {
    2 * x
}

#[cloud::main]
fn main() {}

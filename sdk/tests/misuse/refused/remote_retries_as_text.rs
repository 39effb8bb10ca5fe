//~ expected a number

#[cloud::remote(retries = "2")]
fn twice(x: u64) -> u64 {
    2 * x
}

#[cloud::main]
fn main() {}

//~ expected a name, such as "pricing/monte-carlo"

#[cloud::remote(name = "")]
fn twice(x: u64) -> u64 {
    2 * x
}

#[cloud::main]
fn main() {}

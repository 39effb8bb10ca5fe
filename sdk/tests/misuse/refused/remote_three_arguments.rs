//~ a remote function takes one argument, or two for `map_with`: `(&Shared, Item)`

#[cloud::remote(retries = 2)]
fn twice(x: u64, _y: u64, _z: u64) -> u64 {
    2 * x
}

#[cloud::main]
fn main() {}

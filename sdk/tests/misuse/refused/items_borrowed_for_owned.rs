//~ `&u64` cannot be sent to another process
//~ for items borrowed from a slice or vector (`&vec`, `vec.iter()`): pass them by value

fn twice(x: u64) -> u64 {
    2 * x
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    let numbers = vec![1u64, 2, 3];
    cloud::map(twice, &numbers).wait().map(drop)
}

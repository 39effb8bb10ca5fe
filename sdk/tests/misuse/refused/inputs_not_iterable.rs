//~ `u64` is neither iterable nor a stream
//~ give `cloud::map` a vector, a range, an iterator or a `Stream`

fn twice(x: u64) -> u64 {
    2 * x
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    cloud::map(twice, 4u64).wait().map(drop)
}

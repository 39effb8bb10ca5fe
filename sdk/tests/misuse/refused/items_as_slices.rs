//~ `&[u64]` cannot be sent to another process
//~ crosses a process boundary, so it must be an owned serde type
//~ for items borrowed from a slice or vector (`&vec`, `vec.iter()`): pass them by value

fn total(part: &[u64]) -> u64 {
    part.iter().sum()
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    let numbers = vec![1u64, 2, 3];
    cloud::map(total, numbers.chunks(2)).wait().map(drop)
}

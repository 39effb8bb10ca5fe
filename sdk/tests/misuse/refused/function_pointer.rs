//~ this closure captures variables, or is a `fn` pointer: captured data cannot be sent to another process

fn twice(x: u64) -> u64 {
    2 * x
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    let pointer: fn(u64) -> u64 = twice;
    cloud::map(pointer, 0..4).wait().map(drop)
}

//~ a function under `cloud::try_map` cannot return `u64`
//~ for a function that cannot fail, use `cloud::map`

fn twice(x: u64) -> u64 {
    2 * x
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    cloud::try_map(twice, 0..4).wait().map(drop)
}

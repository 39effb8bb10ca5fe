//~ exit 1
//~ stderr `cloud::init` has not run in this process, so no slot could be started; nothing was sent
//~ stderr hint: write `#[cloud::main]` above `main`, or `cloud::init()` as its first line

fn main() -> cloud::Result<()> {
    cloud::map(|x: u64| 2 * x, 0..4).wait().map(drop)
}

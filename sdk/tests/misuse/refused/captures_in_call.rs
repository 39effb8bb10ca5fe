//~ this closure captures variables, or is a `fn` pointer: captured data cannot be sent to another process

#[cloud::main]
fn main() -> cloud::Result<()> {
    let k = 3u64;
    cloud::call(move |x: u64| x + k, 4).wait().map(drop)
}

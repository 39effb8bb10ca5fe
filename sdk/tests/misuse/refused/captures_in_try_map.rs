//~ this closure captures variables, or is a `fn` pointer: captured data cannot be sent to another process

#[cloud::main]
fn main() -> cloud::Result<()> {
    let k = 3u64;
    cloud::try_map(move |x: u64| x.checked_sub(k).ok_or("too small"), 0..4).wait().map(drop)
}

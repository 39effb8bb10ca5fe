//~ this closure captures variables, or is a `fn` pointer: captured data cannot be sent to another process
//~ cloud::map_with(shared, |shared, item| .., items)

#[cloud::main]
fn main() -> cloud::Result<()> {
    let k = 3u64;
    cloud::map(move |x: u64| x + k, 0..4).wait().map(drop)
}

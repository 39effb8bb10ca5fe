//~ this closure captures variables, or is a `fn` pointer: captured data cannot be sent to another process

#[cloud::main]
fn main() -> cloud::Result<()> {
    let k = 3u64;
    cloud::map_with(vec![1u64], move |table: &Vec<u64>, x: u64| table[0] + x + k, 0..4).wait().map(drop)
}

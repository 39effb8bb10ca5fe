//~ error[E0373]: closure may outlive the current function, but it borrows `k`

#[cloud::main]
fn main() -> cloud::Result<()> {
    let k = 3u64;
    cloud::map(|x: u64| x + k, 0..4).wait().map(drop)
}

//~ exit 0
//~ stdout CurrentThread [0, 2, 4, 6]

#[cloud::main]
#[tokio::main(flavor = "current_thread")]
async fn main() -> cloud::Result<()> {
    // Its own runtime, not the one that `#[cloud::main]` would have made.
    let flavor = tokio::runtime::Handle::current().runtime_flavor();
    println!("{flavor:?} {:?}", cloud::map(|x: u64| 2 * x, 0..4).await?);
    Ok(())
}

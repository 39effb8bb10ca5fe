//~ exit 0
//~ stdout [0, 2, 4, 6]

#[cloud::main]
async fn main() -> cloud::Result<()> {
    println!("{:?}", cloud::map(async |x: u64| 2 * x, 0..4).await?);
    Ok(())
}

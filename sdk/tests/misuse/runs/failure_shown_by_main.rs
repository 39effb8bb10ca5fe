//~ exit 1
//~ stderr Error: 1 chunk failed
//~ stderr chunk 2 panicked: attempt to divide by zero (at src/bin/failure_shown_by_main.rs:
//~ stderr hint: `.outcomes()` gives the values of the other chunks too

fn twelfths(x: u64) -> u64 {
    12 / (2 - x)
}

#[cloud::main]
async fn main() -> cloud::Result<()> {
    println!("{:?}", cloud::map(twelfths, 0..3).await?);
    Ok(())
}

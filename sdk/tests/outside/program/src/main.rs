use outside::{cube, doubled};

#[cloud::main]
async fn main() -> cloud::Result<()> {
    println!("function {:?}", cloud::map(cube, 1..=5).await?);
    println!(
        "closure {:?}",
        cloud::map(|text: String| text.len(), ["to".to_string(), "be".to_string()]).await?
    );
    println!("own library {:?}", doubled(vec![1, 2, 3]));

    let words = ["or", "not", "to"].map(String::from).to_vec();
    println!("library {:?}", jobs::lengths(words.clone()).await?);
    println!(
        "generic library {:?} {:?}",
        jobs::sorted(vec![words])?,
        jobs::sorted(vec![vec![3, 1, 2], vec![9, 8]])?
    );
    Ok(())
}

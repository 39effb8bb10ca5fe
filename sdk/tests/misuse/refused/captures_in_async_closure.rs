//~ error: async closure does not implement `Fn` because it captures state from its environment

#[cloud::main]
async fn main() -> cloud::Result<()> {
    let k = 3u64;
    cloud::map(async move |x: u64| x + k, 0..4).await.map(drop)
}

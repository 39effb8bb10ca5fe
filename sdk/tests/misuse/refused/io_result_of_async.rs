//~ a function under `cloud::map` cannot return `impl Future<Output = Result<String, std::io::Error>>`
//~ for a `Result` whose error serde does not know (`io::Error`, `anyhow::Error`, `Box<dyn Error>`), use `cloud::try_map`

async fn read(path: String) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

#[cloud::main]
async fn main() -> cloud::Result<()> {
    cloud::map(read, ["a".to_string()]).await.map(drop)
}

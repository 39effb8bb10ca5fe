//~ implementation of `serde_core::de::Deserialize` is not general enough
//~ `&str` must implement `serde_core::de::Deserialize<'0>`, for any lifetime `'0`

fn length(text: &'static str) -> usize {
    text.len()
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    cloud::map(length, ["to be", "or not"]).wait().map(drop)
}

//~ a function under `cloud::map` cannot return `Answer`
//~ neither an owned serde value nor a future of one
//~ for a type of your own: add `#[derive(serde::Serialize, serde::Deserialize)]`

struct Answer(u64);

fn work(x: u64) -> Answer {
    Answer(x)
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    for answer in cloud::map(work, 0..4).wait()? {
        println!("{}", answer.0);
    }
    Ok(())
}

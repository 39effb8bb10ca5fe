//~ `Job` cannot be sent to another process
//~ crosses a process boundary, so it must be an owned serde type
//~ for a type of your own: add `#[derive(serde::Serialize, serde::Deserialize)]`

struct Job(u64);

fn work(job: Job) -> u64 {
    job.0
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    cloud::map(work, [Job(1), Job(2)]).wait().map(drop)
}

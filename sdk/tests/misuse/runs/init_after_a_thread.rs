//~ exit 1
//~ stderr `cloud::init` must come first in `main`, on its own thread: threads are running already
//~ stderr hint: a slot runs this same program: `#[cloud::main]` or `cloud::init()` must come first in `main`

fn main() -> cloud::Result<()> {
    std::thread::spawn(std::thread::park);
    cloud::init();
    cloud::map(|x: u64| 2 * x, 0..4).wait().map(drop)
}

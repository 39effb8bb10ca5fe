//~ exit 1
//~ stderr it printed "welcome\n
//~ stderr before `cloud::init`
//~ stderr hint: a slot runs this same program: `#[cloud::main]` or `cloud::init()` must come first in `main`

fn main() -> cloud::Result<()> {
    println!("welcome");
    cloud::init();
    cloud::map(|x: u64| 2 * x, 0..4).wait().map(drop)
}

//~ exit 0
//~ stdout in the slot: Some("ready"), here: None

use std::sync::OnceLock;

static POOL: OnceLock<String> = OnceLock::new();

fn setup() {
    POOL.set("ready".to_string()).expect("setup runs once a slot");
}

fn look(_: u32) -> Option<String> {
    POOL.get().cloned()
}

#[cloud::main(slot = setup)]
fn main() -> cloud::Result<()> {
    println!("in the slot: {:?}, here: {:?}", cloud::call(look, 0).wait()?, POOL.get());
    Ok(())
}

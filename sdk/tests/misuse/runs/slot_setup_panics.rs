//~ exit 1
//~ stderr slots in a row ended
//~ stderr no licence for this machine

fn setup() {
    panic!("no licence for this machine");
}

#[cloud::main(slot = setup)]
fn main() -> cloud::Result<()> {
    println!("{}", cloud::call(|x: u64| x + 1, 6).wait()?);
    Ok(())
}

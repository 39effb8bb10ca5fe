//~ exit 0
//~ stdout chunk 1: Abort, 0 and 2: 0 2

fn give_up(x: u64) -> u64 {
    if x == 1 { std::process::abort() } else { x }
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    let outcomes = cloud::map(give_up, 0..3).outcomes().wait()?;
    match &outcomes[..] {
        [Ok(zero), Err(abort), Ok(two)] => println!("chunk 1: {:?}, 0 and 2: {zero} {two}", abort.kind),
        other => println!("{other:?}"),
    }
    Ok(())
}

//~ exit 0
//~ stdout chunk 1: StackOverflow, 0 and 2: 0 2
//! An ordinary program, where Rust's own handler for stack overflow is installed.

use std::hint::black_box;

fn depth(x: u64) -> u64 {
    if x == 1 { dive(1) } else { x }
}

#[expect(unconditional_recursion, reason = "the stack is to run out")]
fn dive(x: u64) -> u64 {
    let frame = black_box([x; 512]);
    dive(x ^ frame[7]) ^ black_box(frame)[11]
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    let outcomes = cloud::map(depth, 0..3).outcomes().wait()?;
    match &outcomes[..] {
        [Ok(zero), Err(overflow), Ok(two)] => println!("chunk 1: {:?}, 0 and 2: {zero} {two}", overflow.kind),
        other => println!("{other:?}"),
    }
    Ok(())
}

//~ the trait bound `Vec<u64>: Copy` is not satisfied

#[cloud::main]
fn main() -> cloud::Result<()> {
    let table = vec![1u64, 2, 3];
    cloud::map(move |x: usize| table[x], 0..3).wait().map(drop)
}

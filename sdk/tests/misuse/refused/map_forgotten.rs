//~ a map is lazy: nothing runs until it is awaited, or `.wait()` is called
#![deny(unused_must_use)]

#[cloud::main]
fn main() {
    cloud::map(|x: u64| 2 * x, 0..4);
}

fn main() {
    println!("bench {:?}", outside::doubled(vec![6, 7]));
}

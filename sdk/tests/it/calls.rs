//! What can be called, and with what.

fn square(x: u64) -> u64 {
    x * x
}

#[test]
fn values_come_back_in_input_order() {
    assert_eq!(cloud::map(square, 0..1000).wait().unwrap(), (0..1000).map(square).collect::<Vec<_>>());
}

fn boom(x: u32) -> u32 {
    match x {
        1 => panic!("one"),
        2 => std::process::exit(3),
        3 => std::process::abort(),
        _ => x,
    }
}

#[test]
fn boom_blames() {
    let o = cloud::map(boom, 0..100).outcomes().wait().unwrap();
    for x in o.iter().filter_map(|o| o.as_ref().err()) { println!("{x} {:?}", x.kind); }
    assert_eq!(o.iter().filter(|o| o.is_err()).count(), 3);
    let mut n = 0; for v in cloud::map(square, 0..1_000_000u64).iter() { n += v.unwrap().unwrap().1 % 2; }
    assert_eq!(n, 500_000);
}

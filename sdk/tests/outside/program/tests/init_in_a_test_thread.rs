#[test]
fn init_in_a_test_thread() {
    cloud::init();
    assert_eq!(cloud::map(|x: u64| x + 1, [1, 2]).wait().unwrap(), [2, 3]);
}

#[test]
fn maps() {
    assert_eq!(outside::doubled(vec![3]), [6]);
}

//! A library that maps, and whose documentation does too.

/// The third power.
pub fn cube(x: u64) -> u64 {
    x * x * x
}

/// Everything twice.
///
/// ```
/// assert_eq!(outside::doubled(vec![4, 5]), [8, 10]);
/// ```
pub fn doubled(numbers: Vec<u64>) -> Vec<u64> {
    cloud::map(|x| 2 * x, numbers).wait().unwrap()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_unit_test_maps() {
        assert_eq!(super::doubled(vec![1, 2]), [2, 4]);
    }
}

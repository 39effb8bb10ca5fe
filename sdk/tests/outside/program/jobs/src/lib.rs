//! A library that maps for its callers, over types that only they know.

use serde::{Serialize, de::DeserializeOwned};

/// How long each text is.
pub async fn lengths(texts: Vec<String>) -> cloud::Result<Vec<usize>> {
    cloud::map(|text: String| text.len(), texts).await
}

/// Each list, sorted.
pub fn sorted<T: Ord + Serialize + DeserializeOwned + 'static>(
    lists: Vec<Vec<T>>,
) -> cloud::Result<Vec<Vec<T>>> {
    fn sort<T: Ord>(mut list: Vec<T>) -> Vec<T> {
        list.sort();
        list
    }
    let reversed = cloud::map(sort::<T>, lists).wait()?;
    cloud::map(
        |mut list: Vec<T>| {
            list.reverse();
            list
        },
        reversed,
    )
    .wait()
}

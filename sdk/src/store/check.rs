//! What every store refuses, and in the same words.

use std::ops::Range;

use super::{COMPONENT_BYTES, KEY_BYTES, Result, StoreError, StoreErrorKind::Invalid};

/// Refuses what is not a key.
pub(super) fn key(key: &str, action: &'static str) -> Result<()> {
    match fault(key) {
        None => Ok(()),
        Some(reason) => Err(StoreError::new(Invalid, key, action, reason)),
    }
}

/// Refuses a range that ends before it begins.
pub(super) fn range(key: &str, range: Option<&Range<u64>>) -> Result<()> {
    match range {
        Some(range) if range.start > range.end => {
            let reason = format!("its bytes {} to {} were asked for", range.start, range.end);
            Err(StoreError::new(Invalid, key, "read", reason))
        }
        _ => Ok(()),
    }
}

/// Refuses a prefix that is neither empty nor a folder.
pub(super) fn folder(prefix: &str) -> Result<()> {
    if is_folder(prefix) {
        return Ok(());
    }
    Err(StoreError::new(Invalid, prefix, "listed", "it is neither empty nor a folder"))
}

/// Whether keys may be right under it.
pub(super) fn is_folder(prefix: &str) -> bool {
    prefix.is_empty() || prefix.strip_suffix('/').is_some_and(is_key)
}

/// Whether it is a key.
pub(super) fn is_key(text: &str) -> bool {
    fault(text).is_none()
}

/// Those of the bytes that an object of this length has.
pub(super) fn within(range: Option<Range<u64>>, length: u64) -> Range<u64> {
    range.map_or(0..length, |range| range.start.min(length)..range.end.min(length))
}

/// What is wrong with a key.
fn fault(key: &str) -> Option<&'static str> {
    if key.len() > KEY_BYTES {
        return Some("a key has at most 512 bytes");
    }
    key.split('/').find_map(component_fault)
}

fn component_fault(component: &str) -> Option<&'static str> {
    if component.is_empty() {
        Some("a component is empty")
    } else if component.len() > COMPONENT_BYTES {
        Some("a component has at most 250 bytes")
    } else if component.starts_with('.') {
        Some("a component begins with a dot")
    } else if !component.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        Some("a character is not one of A-Z a-z 0-9 . _ -")
    } else {
        None
    }
}

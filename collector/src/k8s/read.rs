//! How objects of the API are read into types that name only what is used.

use serde::{Deserialize, Deserializer};

/// A field that may be null, which is then empty: Go writes null for an empty list. For `#[serde(deserialize_with)]`, on
/// fields that have a default where they are absent.
pub(crate) fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

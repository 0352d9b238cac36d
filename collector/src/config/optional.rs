//! Optional sections, in the three flavours of the Go collector. Each accepts an extra boolean `enabled`.
//!
//! Use as `#[serde(default, deserialize_with = "config::optional::given")]` on an `Option<T>` field.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::decode::OPTIONAL;

/// Flavour "none": absent unless something is given; null leaves it absent.
pub fn unless_given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_newtype_struct(OPTIONAL, Section { null: || None, of: PhantomData })
}

/// Flavours "default" and "some": the key alone, even null or `{}`, switches it on with the defaults of `T`.
/// For "default" the field's own default is `None`, for "some" it is `Some(T::default())`.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_newtype_struct(OPTIONAL, Section { null: || Some(T::default()), of: PhantomData })
}

struct Section<T> {
    null: fn() -> Option<T>,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Section<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Option<T>, E> {
        Ok((self.null)())
    }
    fn visit_none<E: de::Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        T::deserialize(deserializer).map(Some)
    }
}

//! `headers` of a client: a map, or a list of `{name, value}`. Values are secrets.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Secret;

/// Names and values in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, Secret)>);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    name: String,
    value: Secret,
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Headers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry::<String, Secret>()? {
                    all.push(entry);
                }
                Ok(Headers(all))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Headers, A::Error> {
                let mut all = Vec::new();
                while let Some(Pair { name, value }) = list.next_element()? {
                    all.push((name, value));
                }
                Ok(Headers(all))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

//! Two structs that read the keys of one section side by side, as Go's `squash` has it: a component's own keys and a
//! section that several components share. (serde's `flatten` would lose the key paths of mistakes, and unknown keys.)

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use super::decode::JOINED;

/// Both structs. A key is unknown if neither names it; one that both name goes to both. For `#[serde(from = "Joined<..>")]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined<A, B>(pub A, pub B);

impl<'de, A: Deserialize<'de>, B: Deserialize<'de>> Deserialize<'de> for Joined<A, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(JOINED, Both(PhantomData))
    }
}

struct Both<A, B>(PhantomData<(A, B)>);

impl<'de, A: Deserialize<'de>, B: Deserialize<'de>> Visitor<'de> for Both<A, B> {
    type Value = Joined<A, B>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }
    fn visit_seq<S: SeqAccess<'de>>(self, mut sides: S) -> Result<Joined<A, B>, S::Error> {
        let missing = || de::Error::custom("the section was not read twice");
        let first = sides.next_element()?.ok_or_else(missing)?;
        Ok(Joined(first, sides.next_element()?.ok_or_else(missing)?))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::Joined;
    use crate::config::{Problems, Section, optional};

    #[derive(Debug, Default, PartialEq, Eq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Own {
        path: String,
    }

    #[derive(Debug, Default, PartialEq, Eq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Shared {
        endpoint: String,
        size: i64,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Outer {
        #[serde(deserialize_with = "optional::given")]
        inner: Option<Joined<Own, Shared>>,
    }

    fn read(yaml: &str) -> (Option<Joined<Own, Shared>>, Vec<String>) {
        let mut problems = Problems::default();
        let read = Section::parse("r", "x", yaml).unwrap().decode(&mut problems);
        (read, problems.list().iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect())
    }

    #[test]
    fn each_reads_its_keys() {
        let (read, problems) = read("{path: /, size: 3}");
        assert_eq!(read, Some(Joined(Own { path: "/".into() }, Shared { endpoint: String::new(), size: 3 })));
        assert!(problems.is_empty());
    }

    #[test]
    fn mistakes_are_those_of_both() {
        let (_, problems) = read("{path: 1, size: x, endpont: a}");
        assert_eq!(problems.len(), 3, "{problems:?}");
        for part in ["x::r::path: ", "x::r::size: ", "x::r: has invalid keys: endpont (did you mean \"endpoint\"?)"] {
            assert!(problems.iter().any(|problem| problem.starts_with(part)), "{part} {problems:?}");
        }
    }

    #[test]
    fn an_optional_one_may_be_enabled() {
        let mut problems = Problems::default();
        let outer: Outer =
            Section::parse("r", "x", "{inner: {enabled: true, size: 1}}").unwrap().decode(&mut problems).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(outer.inner.unwrap().1.size, 1);
    }
}

//! The ring against recorded answers of contrib's, and its properties.

use proptest::prelude::*;

use super::{Ring, Version};

fn set(name: char) -> Vec<String> {
    let numbered = |from: u32, to: u32, text: &dyn Fn(u32) -> String| (from..=to).map(text).collect::<Vec<_>>();
    match name {
        'A' => vec!["endpoint-1".to_owned()],
        'B' => numbered(1, 2, &|n| format!("endpoint-{n}")),
        'C' => numbered(1, 4, &|n| format!("backend-{n}:4317")),
        'D' => numbered(1, 3, &|n| format!("10.0.0.{n}:4317")),
        'E' => numbered(0, 4, &|n| format!("sampler-{n}.sampler.obs:4317")),
        'F' => ["55690", "55700", "55710", "55720"].map(|port| format!("127.0.0.1:{port}")).to_vec(),
        _ => numbered(1, 3, &|n| format!("10.0.0.{n}")),
    }
}

/// The owner as the vectors abbreviate it: `e1`, `b2`, `.3`, `s0`, or a port.
fn short(set: char, member: &str) -> String {
    let digit = |at: usize| member.chars().nth(at).unwrap();
    match set {
        'A' | 'B' => format!("e{}", digit(9)),
        'C' => format!("b{}", digit(8)),
        'E' => format!("s{}", digit(8)),
        'F' => member[10..].to_owned(),
        _ => format!(".{}", digit(7)),
    }
}

fn owner(ring: &Ring, set: char, key: &[u8]) -> String {
    short(set, &ring.members()[ring.owner(key).unwrap()])
}

fn id(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn trace_ids_go_where_contrib_sends_them() {
    for line in include_str!("vectors.txt").lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split(' ').collect();
        let key = id(columns[0]);
        let hash = crc32fast::hash(&key);
        assert_eq!(format!("{hash:08x}"), columns[1]);
        assert_eq!((hash % 131_071).to_string(), columns[2]);
        assert_eq!((hash % 36_000).to_string(), columns[9]);
        for (set_name, expected) in "BCDEFG".chars().zip(&columns[3..9]) {
            assert_eq!(owner(&Ring::new(Version::Two, set(set_name)), set_name, &key), **expected, "{line}");
        }
        for (set_name, expected) in "BCDE".chars().zip(&columns[10..14]) {
            assert_eq!(owner(&Ring::new(Version::One, set(set_name)), set_name, &key), **expected, "{line}");
        }
        assert_eq!(Ring::new(Version::Two, set('A')).owner(&key), Some(0));
    }
}

#[test]
fn text_keys_go_where_contrib_sends_them() {
    let check = |key: &str, two: [&str; 3], one: [&str; 3]| {
        for (version, expected) in [(Version::Two, two), (Version::One, one)] {
            for (set_name, expected) in "CDE".chars().zip(expected) {
                let ring = Ring::new(version, set(set_name));
                assert_eq!(owner(&ring, set_name, key.as_bytes()), expected, "{key} {set_name} {version:?}");
            }
        }
    };
    check("service.name=checkout|", ["b2", ".3", "s2"], ["b1", ".3", "s2"]);
    check("checkout", ["b3", ".1", "s4"], ["b4", ".2", "s1"]);
    check("service.name=|", ["b1", ".3", "s4"], ["b1", ".1", "s0"]);
    check("", ["b1", ".1", "s0"], ["b4", ".2", "s3"]);
    check("service.name=frontend|span.kind=Server|", ["b4", ".1", "s0"], ["b3", ".3", "s2"]);
    check("0102030405060708090a0b0c0d0e0f10", ["b3", ".2", "s2"], ["b4", ".2", "s1"]);
}

#[test]
fn points_lie_where_contrib_puts_them() {
    let check = |version, set_name, count: usize, first: &[(u32, &str)], last: (u32, &str)| {
        let ring = Ring::new(version, set(set_name));
        let points: Vec<(u32, String)> = ring
            .points
            .iter()
            .map(|(at, member)| (*at, short(set_name, &ring.members[usize::from(*member)])))
            .collect();
        let expected: Vec<(u32, String)> = first.iter().map(|(at, member)| (*at, (*member).to_owned())).collect();
        assert_eq!((points.len(), &points[..first.len()]), (count, expected.as_slice()));
        assert_eq!(points.last().unwrap(), &(last.0, last.1.to_owned()));
    };
    let two = Version::Two;
    check(two, 'B', 400, &[(78, "e2"), (274, "e2"), (445, "e1"), (616, "e2"), (1222, "e1")], (130_703, "e1"));
    check(two, 'C', 800, &[(23, "b1"), (49, "b4"), (100, "b4"), (178, "b1"), (304, "b3")], (130_406, "b4"));
    check(two, 'E', 1000, &[(121, "s0"), (350, "s1"), (511, "s0"), (633, "s4"), (708, "s3")], (131_048, "s1"));
    let one = Version::One;
    check(one, 'C', 400, &[(41, "b4"), (51, "b4"), (69, "b2"), (89, "b2"), (127, "b2")], (35_950, "b3"));
    let wanted: Vec<u32> = (0..6).map(|n| super::point("endpoint-1", n) % 131_071).collect();
    assert_eq!(wanted, [19_428, 113_378, 26_218, 44_399, 107_713, 99_686]);
}

#[test]
fn an_empty_ring_owns_nothing_and_a_crowded_one_drops_points() {
    assert_eq!(Ring::new(Version::Two, Vec::new()).owner(b"x"), None);
    let members: Vec<String> = (0..600).map(|n| format!("member-{n}:4317")).collect();
    let ring = Ring::new(Version::One, members);
    assert!(ring.points.len() <= 36_000);
    assert!(ring.owner(b"x").is_some());
}

proptest! {
    #[test]
    fn the_order_of_members_does_not_matter_in_version_two(
        mut members in prop::collection::hash_set("[a-z]{1,8}:[0-9]{2}", 1..12).prop_map(Vec::from_iter),
        key in any::<[u8; 16]>(),
    ) {
        let name = |members: Vec<String>| {
            let ring = Ring::new(Version::Two, members);
            ring.members()[ring.owner(&key).unwrap()].clone()
        };
        let first = name(members.clone());
        members.reverse();
        prop_assert_eq!(first, name(members));
    }

    #[test]
    fn a_look_up_finds_the_next_point(key in any::<Vec<u8>>(), n in 1_usize..9, one in any::<bool>()) {
        let version = if one { Version::One } else { Version::Two };
        let ring = Ring::new(version, (0..n).map(|n| format!("m{n}")).collect());
        let at = crc32fast::hash(&key) % version.positions();
        let next = ring.points.iter().find(|point| point.0 >= at).or(ring.points.first());
        prop_assert_eq!(ring.owner(&key), next.map(|point| usize::from(point.1)));
    }
}

proptest! {
    #[test]
    fn shares_are_the_parts_of_the_positions_that_members_own(n in 1_usize..12, version in prop::sample::select(vec![Version::One, Version::Two])) {
        let members: Vec<String> = (0..n).map(|n| format!("10.0.0.{n}:4317")).collect();
        let ring = Ring::new(version, members);
        let shares = ring.shares();
        prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
        let mut found = vec![0_u32; n];
        for key in 0..20_000_u32 {
            found[ring.owner(&key.to_le_bytes()).unwrap()] += 1;
        }
        for (found, share) in found.iter().zip(&shares) {
            prop_assert!((f64::from(*found) / 20_000.0 - share).abs() < 0.02, "{found} of 20000, share {share}");
        }
    }
}

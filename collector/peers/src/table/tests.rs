use std::collections::{BTreeMap, VecDeque};

use super::*;
use crate::simulator::random::Random;

fn id(number: u64) -> TraceId {
    u128::from(number).to_be_bytes()
}

/// Against a plain map of each trace's parts: they share one list of links.
#[test]
fn parts_of_many_traces_stay_apart() {
    let mut random = Random::new(2);
    let mut table: Table<u64, u64> = Table::new(8, FixedState::with_seed(7));
    let mut parts: BTreeMap<u64, BTreeMap<u32, u64>> = BTreeMap::new();
    for step in 0..5_000_u64 {
        let (trace, holder) = (random.below(9), u32::try_from(random.below(4)).unwrap());
        let Some(Known::Open(place)) = table.find_or_open(&id(trace), true) else { panic!("nothing is decided") };
        table.record_or_insert(place, || Record::new(0)).unwrap();
        match random.below(5) {
            0 => {
                table.retain_parts(place, |part| part.holder != holder);
                parts.entry(trace).or_default().remove(&holder);
            }
            1 => {
                table.drop_record(place);
                table.tidy(place);
                parts.remove(&trace);
            }
            _ => {
                table.put_part(place, Reported::new(holder, 1, step));
                parts.entry(trace).or_default().insert(holder, step);
            }
        }
        for trace in 0..9 {
            let record = table.place(&id(trace)).and_then(|place| table.record(place));
            let found: BTreeMap<u32, u64> =
                record.into_iter().flat_map(|record| table.parts(&record.parts)).map(Reported::of).collect();
            assert_eq!(found, parts.get(&trace).cloned().unwrap_or_default());
        }
    }
    assert!(table.links.iter().count() <= 36, "links are used again");
}

/// Against two plain maps: what is open, and what is decided, of which there may be eight. Hints are right or wrong.
#[test]
fn it_knows_what_two_maps_know() {
    const DECISIONS: usize = 8;
    let mut random = Random::new(1);
    let mut table: Table<(), u64> = Table::new(DECISIONS, FixedState::with_seed(7));
    let (mut open, mut decided, mut order) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
    for step in 0..20_000_u64 {
        let trace = random.below(40);
        let room = random.percent(80);
        match random.below(3) {
            0 => match table.find_or_open(&id(trace), room) {
                Some(Known::Open(place)) => {
                    assert_eq!(table.id(place), Some(id(trace)));
                    table.record_or_insert(place, || Record::new(0)).unwrap();
                    assert!(open.insert(trace, place).is_none_or(|before| before == place));
                }
                Some(Known::Decided(decision)) => assert_eq!(decided.get(&trace), Some(&decision)),
                None => assert!(!room && !open.contains_key(&trace) && !decided.contains_key(&trace)),
            },
            1 => {
                let anywhere = u32::try_from(random.below(40)).unwrap();
                let hint = open.get(&trace).copied().filter(|_| random.percent(50)).unwrap_or(anywhere);
                match table.find_near(&id(trace), hint) {
                    Some(Known::Decided(decision)) => {
                        assert_eq!(decided.get(&trace), Some(&decision));
                        continue;
                    }
                    Some(Known::Open(place)) => {
                        assert_eq!(open.remove(&trace), Some(place));
                        table.decide(place, step);
                    }
                    None => {
                        assert!(!open.contains_key(&trace));
                        table.decide_unknown(&id(trace), step);
                    }
                }
                decided.insert(trace, step);
                order.push_back(trace);
                if order.len() > DECISIONS {
                    order.pop_front().map(|oldest| decided.remove(&oldest));
                }
            }
            _ => {
                let place = open.remove(&trace);
                place.into_iter().for_each(|place| {
                    table.drop_record(place);
                    table.tidy(place);
                });
            }
        }
        assert_eq!(table.n_decided(), decided.len());
        for trace in 0..40 {
            assert_eq!(table.place(&id(trace)), open.get(&trace).copied());
            assert_eq!(table.decision(&id(trace)), decided.get(&trace).copied());
        }
    }
}

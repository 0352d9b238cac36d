//! What holds for every tree and every text.

use grammar::{Error, ast::Root, dump, parse_condition, parse_statement, parse_value, render::Style};
use proptest::prelude::*;

use crate::generate;

/// Parses by all entry points, looks at everything that comes out, and gives the trees.
fn exercise(text: &str) -> Vec<Root> {
    let results: [Result<Root, Vec<Error>>; 3] = [
        parse_condition(text).map(Root::Condition),
        parse_value(text).map(Root::Value),
        parse_statement(text).map(Root::Statement),
    ];
    for errors in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(!errors.is_empty());
        for error in errors {
            assert!(error.span.start <= error.span.end && error.span.end as usize <= text.len(), "{error:?}");
            assert!(!error.message.ends_with('.') && !error.message.is_empty());
            assert!(error.render(text, Style::Plain).starts_with("error["));
            assert!(!error.one_line(text).contains(|c: char| c.is_control()), "{error:?}");
        }
    }
    results.into_iter().flatten().collect()
}

fn reparse(tree: &Root) -> Result<Root, Vec<Error>> {
    let text = tree.to_string();
    match tree {
        Root::Condition(_) => parse_condition(&text).map(Root::Condition),
        Root::Value(_) => parse_value(&text).map(Root::Value),
        Root::Statement(_) => parse_statement(&text).map(Root::Statement),
    }
}

fn assert_round_trip(tree: &Root) {
    match reparse(tree) {
        Ok(again) => {
            assert_eq!(&again, tree, "{tree}");
            assert_eq!(dump::root(&again).lines().count(), dump::root(tree).lines().count());
        }
        Err(errors) => panic!("{tree}\n{}", errors[0].render(&tree.to_string(), Style::Plain)),
    }
}

/// What changing one place of a valid text does to it.
#[derive(Clone, Debug)]
enum Mutation {
    Remove,
    Repeat,
    Insert(String),
    CutAfter,
    Swap,
}

fn mutate(text: &str, place: usize, mutation: &Mutation) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let place = place % chars.len().max(1);
    match mutation {
        _ if chars.is_empty() => {}
        Mutation::Remove => drop(chars.remove(place)),
        Mutation::Repeat => chars.insert(place, chars[place]),
        Mutation::Insert(piece) => drop(chars.splice(place..place, piece.chars())),
        Mutation::CutAfter => chars.truncate(place),
        Mutation::Swap => chars.swap(place, place / 2),
    }
    chars.into_iter().collect()
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let pieces =
        vec!["(", ")", "[", "]", "\"", "not ", " and ", "==", "=", "-", ",", ".", "1", "a", "A", " ", "=>", "\\"];
    prop_oneof![
        Just(Mutation::Remove),
        Just(Mutation::Repeat),
        proptest::sample::select(pieces).prop_map(|piece| Mutation::Insert(piece.to_owned())),
        Just(Mutation::CutAfter),
        Just(Mutation::Swap)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_trees_parse_back(tree in generate::root()) {
        assert_round_trip(&tree);
    }

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        exercise(&text).iter().for_each(assert_round_trip);
    }

    #[test]
    fn soup_is_answered(text in generate::soup()) {
        exercise(&text).iter().for_each(assert_round_trip);
    }

    #[test]
    fn mutated_conditions_are_answered(
        tree in generate::condition(),
        mutations in proptest::collection::vec((any::<usize>(), mutation()), 1..4),
    ) {
        let mut text = tree.to_string();
        for (place, mutation) in &mutations {
            text = mutate(&text, *place, mutation);
        }
        exercise(&text).iter().for_each(assert_round_trip);
    }
}

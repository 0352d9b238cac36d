//! A small automaton for short texts: one look-up a byte, and an answer as soon as it is certain.
//!
//! Built from a dense automaton of `regex-automata`, whose match states lie a byte behind the match, for the sake of
//! patterns that look ahead. Where a pattern does not, a state that has matched says yes at once. A byte that is not ASCII
//! ends the walk without an answer, so that the table need not know what Go makes of broken UTF-8.

use std::collections::HashMap;

use regex_automata::{
    Anchored,
    dfa::{Automaton, StartKind, dense},
    util::{primitives::StateID, start, syntax},
};
use regex_syntax::hir::{Hir, Look, LookSet};

/// Larger automata are not made; building one takes time and memory beyond it.
const MAX_AUTOMATON_BYTES: usize = 16 << 10;
const MAX_BUILD_BYTES: usize = 256 << 10;

/// Instead of a state: what is known of the text.
const NO: u16 = 0;
const YES: u16 = 1;
const UNKNOWN: u16 = 2;
/// States' numbers start here.
const STATES: u16 = 3;

/// Walks texts.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// By byte.
    classes: Box<[u8; 256]>,
    /// By state and class: the next state, or an answer. A state's number is where its row starts, and the rows start at
    /// [`STATES`]. The last class is the text's end.
    next: Box<[u16]>,
    end: u16,
    start: u16,
    behind_prefix: u16,
}

impl Table {
    /// The table of a pattern; `None` if it would be large, or the pattern looks at what a table cannot see. `parsed` is
    /// the pattern, `prefix` what all texts that match start with.
    pub(super) fn new(pattern: &str, parsed: Option<&Hir>, prefix: &[u8]) -> Option<Self> {
        let automaton = automaton(pattern)?;
        let start = automaton.start_state(&start::Config::new().anchored(Anchored::No)).ok()?;
        let mut behind_prefix = start;
        for &byte in prefix {
            behind_prefix = automaton.next_state(behind_prefix, byte);
            // A prefix that is not ASCII, or that says all: there is nothing to walk.
            if automaton.is_special_state(behind_prefix) {
                return None;
            }
        }
        let looks = parsed.map_or(LookSet::full(), |parsed| parsed.properties().look_set());
        let looks_ahead = looks.iter().any(|look| look != Look::Start);
        Builder::new(&automaton, looks_ahead).build([start, behind_prefix])
    }

    /// Whether a text matches, or what is behind the prefix if it starts with that; `None` where it is not ASCII.
    #[inline]
    pub(super) fn is_match(&self, rest: &[u8], behind_prefix: bool) -> Option<bool> {
        let mut state = if behind_prefix { self.behind_prefix } else { self.start };
        for &byte in rest {
            if state < STATES {
                break;
            }
            state = self.next(state, u16::from(self.classes[usize::from(byte)]));
        }
        match state {
            NO => Some(false),
            YES => Some(true),
            UNKNOWN => None,
            state => Some(self.next(state, self.end) == YES),
        }
    }

    #[inline]
    fn next(&self, state: u16, class: u16) -> u16 {
        self.next.get(usize::from(state + class)).copied().unwrap_or(UNKNOWN)
    }
}

fn automaton(pattern: &str) -> Option<dense::DFA<Vec<u32>>> {
    let mut config = dense::Config::new()
        .start_kind(StartKind::Unanchored)
        .accelerate(false)
        .dfa_size_limit(Some(MAX_AUTOMATON_BYTES))
        .determinize_size_limit(Some(MAX_BUILD_BYTES));
    for byte in 0x80..=u8::MAX {
        config = config.quit(byte, true);
    }
    dense::Builder::new().configure(config).syntax(syntax::Config::new().unicode(true).utf8(true)).build(pattern).ok()
}

/// Numbers the states that can be reached.
struct Builder<'b> {
    automaton: &'b dense::DFA<Vec<u32>>,
    looks_ahead: bool,
    /// A byte of each class.
    bytes: Vec<u8>,
    known: HashMap<StateID, u16>,
    /// By row.
    states: Vec<StateID>,
}

impl<'b> Builder<'b> {
    fn new(automaton: &'b dense::DFA<Vec<u32>>, looks_ahead: bool) -> Self {
        let bytes = automaton.byte_classes().representatives(0..=u8::MAX).filter_map(|unit| unit.as_u8()).collect();
        Self { automaton, looks_ahead, bytes, known: HashMap::new(), states: Vec::new() }
    }

    fn build(mut self, [start, behind_prefix]: [StateID; 2]) -> Option<Table> {
        let (start, behind_prefix) = (self.number(start)?, self.number(behind_prefix)?);
        let mut next = vec![UNKNOWN; usize::from(STATES)];
        let mut row = 0;
        while let Some(&state) = self.states.get(row) {
            for at in 0..self.bytes.len() {
                next.push(self.number(self.automaton.next_state(state, self.bytes[at]))?);
            }
            let matched = self.automaton.is_match_state(self.automaton.next_eoi_state(state));
            next.push(if matched { YES } else { NO });
            row += 1;
        }
        let classes = self.automaton.byte_classes();
        let classes = Box::new(std::array::from_fn(|byte| classes.get(byte as u8)));
        let end = u16::try_from(self.bytes.len()).ok()?;
        Some(Table { classes, next: next.into(), end, start, behind_prefix })
    }

    /// A state's number, or the answer that it is; `None` if there are too many.
    fn number(&mut self, state: StateID) -> Option<u16> {
        if self.automaton.is_match_state(state) {
            return Some(YES);
        }
        if self.automaton.is_dead_state(state) {
            return Some(NO);
        }
        if self.automaton.is_quit_state(state) {
            return Some(UNKNOWN);
        }
        // It says yes whatever follows, the end as well: nothing is asked of what follows.
        if !self.looks_ahead && self.automaton.is_match_state(self.automaton.next_eoi_state(state)) {
            return Some(YES);
        }
        if let Some(&number) = self.known.get(&state) {
            return Some(number);
        }
        let number = usize::from(STATES) + self.states.len() * (self.bytes.len() + 1);
        // The row's last place has a number too.
        let number = u16::try_from(number).ok().filter(|number| number.checked_add(256).is_some())?;
        self.known.insert(state, number);
        self.states.push(state);
        Some(number)
    }
}

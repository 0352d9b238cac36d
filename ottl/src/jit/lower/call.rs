//! Converter calls as conditions: `IsRootSpan`, the type tests and `IsMatch` on slots. All others are the interpreter's.

use cranelift_codegen::ir::{Block, InstBuilder as _, condcodes::IntCC, types};

use super::{Lower, bytes::MAX_INLINE, compare::tag_of, slots::SlotRef};
use crate::{
    go::regexp::{Literals, Regexp, Search},
    ir::{CallArg, CallId, NodeId, Type},
    jit::shims::Shim,
    slot::tag,
};

/// More prefixes or suffixes than these are compared in a loop, by a shim.
const MAX_INLINE_TESTS: usize = 8;

impl Lower<'_, '_> {
    /// Lowers a call, which is node `id`.
    pub(super) fn call(&mut self, id: NodeId, call: CallId, yes: Block, no: Block) {
        let site = self.ir.call_site(call);
        let first = match site.args.first() {
            Some(CallArg::Node(target)) => self.slot(*target).filter(|slot| !slot.is_handle),
            _ => None,
        };
        let Some(slot) = first else { return self.ask(id, yes, no) };
        match site.function.name {
            "IsRootSpan" if slot.ty == Type::SpanId => self.is_unset_id(slot, yes, no),
            "IsString" => self.is_type(slot, tag::STR, yes, no),
            "IsInt" => self.is_type(slot, tag::INT, yes, no),
            "IsDouble" => self.is_type(slot, tag::DOUBLE, yes, no),
            "IsBool" => self.is_type(slot, tag::BOOL, yes, no),
            "IsMap" => self.is_type(slot, tag::MAP, yes, no),
            "IsList" if slot.ty != Type::Opaque => self.is_type(slot, tag::LIST, yes, no),
            "IsMatch" => match site.prepared.as_ref().and_then(|prepared| prepared.downcast_ref::<Regexp>()) {
                Some(pattern) => self.is_match(id, call, slot, pattern.search(), yes, no),
                None => self.ask(id, yes, no),
            },
            _ => self.ask(id, yes, no),
        }
    }

    fn is_type(&mut self, slot: SlotRef, tag: u32, yes: Block, no: Block) {
        match tag_of(slot.ty) {
            Some(own) => {
                self.builder.ins().jump(if own == tag { yes } else { no }, &[]);
            }
            None => self.branch_on_tag(slot, tag, yes, no),
        }
    }

    /// A string is matched as it is, nil never matches, and other values go through their text forms.
    fn is_match(&mut self, id: NodeId, call: CallId, slot: SlotRef, search: &Search, yes: Block, no: Block) {
        if slot.ty != Type::String {
            let (string, other, converted) =
                (self.builder.create_block(), self.builder.create_block(), self.builder.create_block());
            self.branch_on_tag(slot, tag::STR, string, other);
            self.builder.switch_to_block(other);
            let tag = self.tag(slot);
            let absent = self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, tag, i64::from(tag::EMPTY));
            self.branch(absent, no, converted);
            self.builder.switch_to_block(converted);
            self.ask(id, yes, no);
            self.builder.switch_to_block(string);
        }
        match search {
            Search::Always => {
                self.builder.ins().jump(yes, &[]);
            }
            Search::OneOf(set) if set.iter().all(|literal| literal.len() <= MAX_INLINE) => {
                self.among(slot, set.iter().map(AsRef::as_ref).collect(), yes, no);
            }
            Search::StartsWith(set) if inline(set) => self.any_of(set, yes, no, |lower, literal, yes, no| {
                lower.has_prefix(slot, literal, yes, no);
            }),
            Search::EndsWith(set) if inline(set) => self.any_of(set, yes, no, |lower, literal, yes, no| {
                lower.has_suffix(slot, literal, yes, no);
            }),
            _ => {
                if let Some(&guard) = self.guards.get(&call) {
                    let possible = self.builder.create_block();
                    let may_match = self.builder.use_var(guard);
                    self.branch(may_match, possible, no);
                    self.builder.switch_to_block(possible);
                }
                let shim = match search {
                    Search::Engine(engine) if (1..=MAX_INLINE).contains(&engine.prefix().len()) => {
                        let rest = self.builder.create_block();
                        self.has_prefix(slot, engine.prefix(), rest, no);
                        self.builder.switch_to_block(rest);
                        Shim::MatchesBehindPrefix
                    }
                    _ => Shim::Matches,
                };
                let found = self.shim_on_text(shim, call.0, slot);
                self.branch(found, yes, no);
            }
        }
    }

    /// A test for each literal, until one holds.
    fn any_of(&mut self, literals: &Literals, yes: Block, no: Block, test: impl Fn(&mut Self, &[u8], Block, Block)) {
        for literal in literals {
            let next = self.builder.create_block();
            test(self, literal, yes, next);
            self.builder.switch_to_block(next);
        }
        self.builder.ins().jump(no, &[]);
    }

    fn has_prefix(&mut self, slot: SlotRef, literal: &[u8], yes: Block, no: Block) {
        self.at_least(slot, literal.len(), no);
        let start = self.address(slot);
        let difference = self.difference(start, 0, literal);
        self.branch(difference, no, yes);
    }

    fn has_suffix(&mut self, slot: SlotRef, literal: &[u8], yes: Block, no: Block) {
        self.at_least(slot, literal.len(), no);
        let start = self.address(slot);
        let len = self.len(slot);
        let len = self.builder.ins().uextend(types::I64, len);
        let end = self.builder.ins().iadd(start, len);
        let offset = i32::try_from(literal.len()).map_or(0, |len| -len);
        let difference = self.difference(end, offset, literal);
        self.branch(difference, no, yes);
    }

    /// Goes on if the range is this long, to `shorter` otherwise.
    fn at_least(&mut self, slot: SlotRef, len: usize, shorter: Block) {
        let enough = self.builder.create_block();
        let found = self.len(slot);
        let holds = self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, found, len as i64);
        self.branch(holds, enough, shorter);
        self.builder.switch_to_block(enough);
    }
}

/// Whether the compares of literals, which are not empty, are worth inlining.
fn inline(literals: &Literals) -> bool {
    literals.len() <= MAX_INLINE_TESTS && literals.iter().all(|literal| literal.len() <= MAX_INLINE)
}

//! Converter calls as conditions: `IsRootSpan`, the type tests, `IsMatch`, `HasPrefix` and `HasSuffix`. All others are
//! helpers' work.

use cranelift_codegen::ir::{Block, InstBuilder as _, condcodes::IntCC, types};

use super::{Lower, bytes::MAX_INLINE, compare::tag_of, operand::Operand};
use crate::{
    error::EvalError,
    go::regexp::{Literals, Regexp, Search},
    ir::{CallArg, CallId, NodeId, Type},
    jit::shim::Shim,
    slot::tag,
    value::Value as Constant,
};

/// What a call asks of its first argument.
#[derive(Debug)]
enum Test<'l> {
    IsUnset,
    IsType(u32),
    IsMatch(&'l Regexp),
    HasPrefix(&'l [u8]),
    HasSuffix(&'l [u8]),
}

/// More prefixes or suffixes than these are compared in a loop, by a shim.
const MAX_INLINE_TESTS: usize = 8;

impl<'l> Lower<'l, '_> {
    /// Lowers a call, which is node `id`.
    pub(super) fn call(&mut self, id: NodeId, call: CallId, yes: Block, no: Block) {
        let Some(test) = self.test(call) else { return self.ask(id, yes, no) };
        let Some(target) = self.argument(call) else { return self.ask(id, yes, no) };
        match test {
            Test::IsUnset => self.is_unset_id(target, yes, no),
            Test::IsType(tag) => self.is_type(target, tag, yes, no),
            Test::IsMatch(pattern) => self.is_match(id, call, target, pattern.search(), yes, no),
            Test::HasPrefix(literal) => {
                self.only_text(target);
                self.has_prefix(target, literal, yes, no);
            }
            Test::HasSuffix(literal) => {
                self.only_text(target);
                self.has_suffix(target, literal, yes, no);
            }
        }
    }

    /// What a call asks of its first argument, if that is asked inline; nothing else of it is evaluated.
    fn test(&self, call: CallId) -> Option<Test<'l>> {
        let site = self.ir.call_site(call);
        let Some(CallArg::Node(target)) = site.args.first() else { return None };
        let slot = self.slot(*target);
        if slot.is_some_and(|slot| slot.is_handle) {
            return None;
        }
        let literal = || match site.args.get(1) {
            Some(CallArg::Literal(literal)) => match self.ir.constant_value(*literal) {
                Constant::Str(text) if text.len() <= MAX_INLINE => Some(text.as_ref()),
                _ => None,
            },
            _ => None,
        };
        Some(match site.function.name {
            "IsRootSpan" if self.ir.ty(*target) == Type::SpanId && slot.is_some() => Test::IsUnset,
            "IsString" => Test::IsType(tag::STR),
            "IsInt" => Test::IsType(tag::INT),
            "IsDouble" => Test::IsType(tag::DOUBLE),
            "IsBool" => Test::IsType(tag::BOOL),
            // Of maps and lists that converters make, only some count.
            "IsMap" if self.is_extracted(*target) => Test::IsType(tag::MAP),
            "IsList" if self.is_extracted(*target) && self.ir.ty(*target) != Type::Opaque => Test::IsType(tag::LIST),
            "IsMatch" => Test::IsMatch(site.prepared.as_ref()?.downcast_ref()?),
            "HasPrefix" => Test::HasPrefix(literal()?),
            "HasSuffix" => Test::HasSuffix(literal()?),
            _ => return None,
        })
    }

    /// Goes on with a text; all else is an error.
    pub(super) fn only_text(&mut self, target: Operand) {
        if target.ty == Type::String {
            return;
        }
        let [text, other] = [(); 2].map(|()| self.builder.create_block());
        self.branch_on_tag(target, tag::STR, text, other);
        self.builder.switch_to_block(other);
        self.fail(EvalError::Type);
        self.builder.switch_to_block(text);
    }

    fn is_type(&mut self, slot: Operand, tag: u32, yes: Block, no: Block) {
        match tag_of(slot.ty) {
            Some(own) => {
                self.builder.ins().jump(if own == tag { yes } else { no }, &[]);
            }
            None => self.branch_on_tag(slot, tag, yes, no),
        }
    }

    /// A string is matched as it is, nil never matches, and other values go through their text forms.
    fn is_match(&mut self, id: NodeId, call: CallId, slot: Operand, search: &Search, yes: Block, no: Block) {
        if slot.ty != Type::String {
            let (string, other, converted) =
                (self.builder.create_block(), self.builder.create_block(), self.builder.create_block());
            self.branch_on_tag(slot, tag::STR, string, other);
            self.builder.switch_to_block(other);
            let tag = self.tag(slot);
            let absent = self.is_absent(tag);
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

    /// Of a text.
    pub(super) fn has_prefix(&mut self, slot: Operand, literal: &[u8], yes: Block, no: Block) {
        if literal.is_empty() {
            self.builder.ins().jump(yes, &[]);
            return;
        }
        self.at_least(slot, literal.len(), no);
        let start = self.address(slot);
        let difference = self.difference(start, 0, literal);
        self.branch(difference, no, yes);
    }

    /// Of a text.
    pub(super) fn has_suffix(&mut self, slot: Operand, literal: &[u8], yes: Block, no: Block) {
        if literal.is_empty() {
            self.builder.ins().jump(yes, &[]);
            return;
        }
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
    fn at_least(&mut self, slot: Operand, len: usize, shorter: Block) {
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

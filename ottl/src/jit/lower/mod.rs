//! IR to CLIF. Conditions are lowered as control flow: a node gets a block for true and one for false, and errors jump to
//! a block with the code as its parameter. So short circuits cost nothing, and upstream's order of errors is kept: a node
//! emits its operands in the order in which the interpreter evaluates them.

mod bytes;
mod call;
mod compare;
mod member;
mod number;
mod once;
mod operand;
mod part;
mod plain;
mod rows;
pub(super) mod shared;
mod slice;
mod value;

use std::collections::{HashMap, HashSet};

use cranelift_codegen::{
    ir::{
        AbiParam, Block, BlockArg, BlockCall, ExtFuncData, ExternalName, FuncRef, Function, InstBuilder as _,
        JumpTableData, Signature, StackSlot, Type as ClifType, UserExternalName, UserFuncName, Value, condcodes::IntCC,
        types,
    },
    isa::{CallConv, TargetFrontendConfig},
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};

use super::shim::Shim;
use crate::{
    error::EvalError,
    ir::{CallId, Ir, Node, NodeId, SubstringsId, Type},
    layout::{Layout, Level},
    program::ErrorMode,
    slot::tag,
    value::Value as Constant,
};
use operand::Operand;

/// Time for register allocation grows faster than a function does.
const MAX_LIST_NODES: usize = 20_000;

/// Which parameter is what is kept; for rows, of what they share.
const KEPT: usize = 3;
/// Which parameter of a list says where it starts.
const START: usize = 4;

/// What to generate for a program.
#[derive(Debug)]
pub(super) struct Generated<'g> {
    /// One function each, but for those that stand in lists: few ask those alone, and the interpreter answers too.
    pub(super) conditions: &'g [Option<NodeId>],
    /// One function each, but for those that are too long.
    pub(super) lists: &'g [ListPlan],
}

/// A list's conditions in order, neighbours put together.
#[derive(Debug)]
pub(crate) struct ListPlan {
    pub(crate) entries: Vec<Entry>,
    pub(crate) error_mode: ErrorMode,
    pub(crate) guards: Vec<Guard>,
    /// Whether it is asked about many spans at once as well.
    pub(crate) over_rows: bool,
}

/// One search that rules out many.
#[derive(Debug)]
pub(crate) struct Guard {
    /// What is searched.
    pub(crate) slot: NodeId,
    /// The search for any of the substrings.
    pub(crate) any: SubstringsId,
    /// The calls that search for one each.
    pub(crate) calls: Vec<CallId>,
}

/// A condition of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) root: NodeId,
    /// Its place in the list; of the first where several were put together.
    pub(crate) position: usize,
}

/// Lowers conditions of one program.
pub(super) struct Lowering<'l> {
    pub(super) ir: &'l Ir,
    pub(super) layout: &'l Layout,
    /// Offset of the pointer in a slice reference.
    pub(super) slice_pointer: i32,
    pub(super) target: TargetFrontendConfig,
}

impl Lowering<'_> {
    /// `(context, slots, bases, kept) -> answer`.
    pub(super) fn condition(&self, root: NodeId, convention: CallConv) -> Function {
        let signature = signature(convention, &[types::I64; 4], types::I32);
        self.function(signature, convention, |lower| {
            let (yes, no) = (lower.builder.create_block(), lower.builder.create_block());
            lower.forget(std::iter::once(root));
            lower.truth(root, yes, no);
            for (block, answer) in [(yes, 1), (no, 0)] {
                lower.builder.switch_to_block(block);
                let answer = lower.builder.ins().iconst(types::I32, answer);
                lower.builder.ins().return_(&[answer]);
            }
            lower.builder.switch_to_block(lower.failed);
            let code = lower.builder.block_params(lower.failed)[0];
            lower.builder.ins().return_(&[code]);
        })
    }

    /// Whether a list's function would take long to generate; the interpreter answers it.
    pub(super) fn is_too_long(&self, plan: &ListPlan) -> bool {
        let mut budget = MAX_LIST_NODES;
        !plan.entries.iter().all(|entry| self.spend(entry.root, &mut budget))
    }

    fn spend(&self, id: NodeId, budget: &mut usize) -> bool {
        let Some(left) = budget.checked_sub(1) else { return false };
        *budget = left;
        let mut enough = true;
        self.ir.operands(id, &mut |operand| enough = enough && self.spend(operand, budget));
        enough
    }

    /// `(context, slots, bases, kept, start) -> answer, entry << 32`. Errors that are not silent end the function; where they
    /// are only reported, the caller reports and comes back with the next entry.
    pub(super) fn list(&self, plan: &ListPlan, convention: CallConv) -> Function {
        let signature =
            signature(convention, &[types::I64, types::I64, types::I64, types::I64, types::I32], types::I64);
        self.function(signature, convention, |lower| lower.list(plan))
    }

    fn function(&self, signature: Signature, convention: CallConv, body: impl FnOnce(&mut Lower<'_, '_>)) -> Function {
        let mut function = Function::with_name_signature(UserFuncName::default(), signature);
        let mut scratch = FunctionBuilderContext::new();
        let mut builder = FunctionBuilder::new(&mut function, &mut scratch);
        let entry = builder.create_block();
        builder.append_block_params_for_function_params(entry);
        builder.switch_to_block(entry);
        let params = builder.block_params(entry).to_vec();
        let failed = builder.create_block();
        builder.append_block_param(failed, types::I32);
        let mut lower = Lower {
            ir: self.ir,
            layout: self.layout,
            slice_pointer: self.slice_pointer,
            builder,
            convention,
            shims: [None; Shim::ALL.len()],
            params,
            failed,
            guards: HashMap::new(),
            once: once::Once::default(),
            handed: None,
            row: None,
        };
        body(&mut lower);
        let mut builder = lower.builder;
        builder.seal_all_blocks();
        builder.finalize(self.target);
        function
    }
}

fn signature(convention: CallConv, params: &[ClifType], result: ClifType) -> Signature {
    let mut signature = Signature::new(convention);
    signature.params.extend(params.iter().map(|&ty| AbiParam::new(ty)));
    signature.returns.push(AbiParam::new(result));
    signature
}

/// One function in the making.
struct Lower<'l, 'f> {
    ir: &'l Ir,
    layout: &'l Layout,
    slice_pointer: i32,
    builder: FunctionBuilder<'f>,
    convention: CallConv,
    shims: [Option<FuncRef>; Shim::ALL.len()],
    /// Context, slots, bases, kept; for a list the start as well.
    params: Vec<Value>,
    /// Takes the code of an error.
    failed: Block,
    /// By call: zero where the call is known not to match.
    guards: HashMap<CallId, Variable>,
    /// What this function asks for more than once and keeps by itself.
    once: once::Once,
    /// Where the interpreter leaves a value that is looked at in one place.
    handed: Option<StackSlot>,
    /// Where spans come by the row, the one that is asked about.
    row: Option<rows::Row>,
}

impl Lower<'_, '_> {
    /// Lowers a condition: ends the current block.
    fn truth(&mut self, id: NodeId, yes: Block, no: Block) {
        match self.ir.get(id) {
            Node::And(operands) => self.chain(operands, yes, no, true),
            Node::Or(operands) => self.chain(operands, yes, no, false),
            Node::Not(operand) => self.truth(*operand, no, yes),
            Node::Compare(op, left, right) => self.compare(id, *op, *left, *right, yes, no),
            Node::InSet(value, set) => self.in_set(id, *value, *set, yes, no),
            Node::Present(slot) => match self.slot(*slot) {
                Some(slot) => self.branch_on_tag(slot, tag::MISSING, no, yes),
                None => self.ask(id, yes, no),
            },
            Node::Call(call) => {
                let call = *call;
                self.once(id, yes, no, |lower, yes, no| lower.call(id, call, yes, no));
            }
            Node::Fail(error) => self.fail(*error),
            Node::Const(constant) => match self.ir.constant_value(*constant) {
                Constant::Bool(flag) => {
                    self.builder.ins().jump(if *flag { yes } else { no }, &[]);
                }
                _ => self.fail(EvalError::NotBool),
            },
            Node::Condition(value)
                if self.ir.ty(*value) == Type::Bool && !matches!(self.ir.get(*value), Node::Slot(_)) =>
            {
                self.truth(*value, yes, no);
            }
            Node::Condition(value) => match self.operand(*value) {
                Some(value) => self.flag(value, yes, no),
                None => self.ask(id, yes, no),
            },
            _ => self.ask(id, yes, no),
        }
    }

    /// `and` goes on after true, `or` after false; what comes last decides.
    fn chain(&mut self, operands: &[NodeId], yes: Block, no: Block, conjunction: bool) {
        let Some((last, others)) = operands.split_last() else {
            self.builder.ins().jump(if conjunction { yes } else { no }, &[]);
            return;
        };
        for &operand in others {
            let next = self.builder.create_block();
            match conjunction {
                true => self.truth(operand, next, no),
                false => self.truth(operand, yes, next),
            }
            self.builder.switch_to_block(next);
        }
        self.truth(*last, yes, no);
    }

    /// A value used as a condition.
    fn flag(&mut self, slot: Operand, yes: Block, no: Block) {
        let is_bool = self.builder.create_block();
        let other = self.builder.create_block();
        self.branch_on_tag(slot, tag::BOOL, is_bool, other);
        self.builder.switch_to_block(other);
        self.fail(EvalError::NotBool);
        self.builder.switch_to_block(is_bool);
        let bits = self.bits(slot);
        self.branch(bits, yes, no);
    }

    /// Has the interpreter answer a condition.
    fn ask(&mut self, id: NodeId, yes: Block, no: Block) {
        self.load_row();
        let node = self.builder.ins().iconst(types::I32, i64::from(id.0));
        let answer = self.shim(Shim::Truth, &[self.params[0], node]);
        let failed = self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, answer, 1);
        let answered = self.builder.create_block();
        self.builder.ins().brif(failed, self.failed, &[BlockArg::Value(answer)], answered, &[]);
        self.builder.switch_to_block(answered);
        self.branch(answer, yes, no);
    }

    fn fail(&mut self, error: EvalError) {
        let code = self.builder.ins().iconst(types::I32, i64::from(error as u8));
        self.builder.ins().jump(self.failed, &[BlockArg::Value(code)]);
    }

    fn branch(&mut self, condition: Value, yes: Block, no: Block) {
        self.builder.ins().brif(condition, yes, &[], no, &[]);
    }

    /// Calls a shim.
    fn shim(&mut self, shim: Shim, args: &[Value]) -> Value {
        let known = self.shims[shim as usize];
        let function = known.unwrap_or_else(|| {
            let signature = self.builder.import_signature(shim.signature(self.convention));
            let name = UserExternalName::new(0, shim as u32);
            let name = ExternalName::user(self.builder.func.declare_imported_user_function(name));
            let data = ExtFuncData { name, signature, colocated: false, patchable: false };
            self.builder.import_function(data)
        });
        self.shims[shim as usize] = Some(function);
        let call = self.builder.ins().call(function, args);
        self.builder.inst_results(call)[0]
    }

    fn list(&mut self, plan: &ListPlan) {
        let blocks: Vec<Block> = plan.entries.iter().map(|_| self.builder.create_block()).collect();
        let (yes, no) = (self.builder.create_block(), self.builder.create_block());
        self.forget(plan.entries.iter().map(|entry| entry.root));
        let guards = self.guards(plan);
        self.dispatch(&blocks, no);
        self.entries(plan, &blocks, guards, [yes, no], |lower, at| {
            let code = lower.builder.block_params(lower.failed)[0];
            let code = lower.builder.ins().uextend(types::I64, code);
            let place = lower.builder.ins().iconst(types::I64, (at as i64) << 32);
            let answer = lower.builder.ins().bor(code, place);
            lower.builder.ins().return_(&[answer]);
        });
        for (block, answer) in [(yes, 1), (no, 0)] {
            self.builder.switch_to_block(block);
            let answer = self.builder.ins().iconst(types::I64, answer);
            self.builder.ins().return_(&[answer]);
        }
    }

    /// Declares what guards know: nothing yet.
    fn guards<'p>(&mut self, plan: &'p ListPlan) -> Vec<(Variable, &'p Guard)> {
        let mut guards: Vec<(Variable, &Guard)> = Vec::with_capacity(plan.guards.len());
        for guard in &plan.guards {
            // What rows share is asked once, and a search for each row would cost more.
            if self.row.is_some() && self.ir.level(guard.slot) < Some(Level::Span) {
                continue;
            }
            // Anything may match until the search was made, also where the list is entered behind it.
            let variable = self.builder.declare_var(types::I32);
            let unknown = self.builder.ins().iconst(types::I32, 1);
            self.builder.def_var(variable, unknown);
            self.guards.extend(guard.calls.iter().map(|&call| (call, variable)));
            guards.push((variable, guard));
        }
        guards
    }

    /// A list's conditions, each in its block, one after the other; `on_error` ends the block of an error that is not
    /// silent.
    fn entries(
        &mut self,
        plan: &ListPlan,
        blocks: &[Block],
        mut guards: Vec<(Variable, &Guard)>,
        [yes, no]: [Block; 2],
        on_error: impl Fn(&mut Self, usize),
    ) {
        for (at, (entry, &block)) in plan.entries.iter().zip(blocks).enumerate() {
            let next = blocks.get(at + 1).copied().unwrap_or(no);
            self.failed = self.builder.create_block();
            self.builder.append_block_param(self.failed, types::I32);
            self.builder.switch_to_block(block);
            if !guards.is_empty() {
                let mut calls = HashSet::new();
                self.calls_of(entry.root, &mut calls);
                // The first condition that needs a search makes it.
                guards.retain(|(variable, guard)| {
                    let needed = guard.calls.iter().any(|call| calls.contains(call));
                    if needed {
                        self.search(*variable, guard);
                    }
                    !needed
                });
            }
            self.truth(entry.root, yes, next);
            self.builder.switch_to_block(self.failed);
            match plan.error_mode {
                ErrorMode::Silent => {
                    self.builder.ins().jump(next, &[]);
                }
                ErrorMode::Ignore | ErrorMode::Propagate => on_error(self, at),
            }
        }
    }

    fn calls_of(&self, id: NodeId, calls: &mut HashSet<CallId>) {
        if let Node::Call(call) = self.ir.get(id) {
            calls.insert(*call);
        }
        self.ir.operands(id, &mut |operand| self.calls_of(operand, calls));
    }

    /// Makes a guard's search.
    fn search(&mut self, variable: Variable, guard: &Guard) {
        let Some(slot) = self.slot(guard.slot) else { return };
        let (string, searched) = (self.builder.create_block(), self.builder.create_block());
        self.branch_on_tag(slot, tag::STR, string, searched);
        self.builder.switch_to_block(string);
        let found = self.shim_on_text(Shim::HoldsAny, guard.any.0, slot);
        self.builder.def_var(variable, found);
        self.builder.ins().jump(searched, &[]);
        self.builder.switch_to_block(searched);
    }

    /// Goes to the entry that the caller asks for; almost always the first, so that is tested before the table.
    fn dispatch(&mut self, blocks: &[Block], beyond: Block) {
        let start = self.params[START];
        let Some(&first) = blocks.first() else {
            self.builder.ins().jump(beyond, &[]);
            return;
        };
        let resumed = self.builder.create_block();
        self.branch(start, resumed, first);
        self.builder.switch_to_block(resumed);
        let pool = &mut self.builder.func.dfg.value_lists;
        let table: Vec<_> = blocks.iter().map(|&block| BlockCall::new(block, [], pool)).collect();
        let otherwise = BlockCall::new(beyond, [], pool);
        let table = self.builder.create_jump_table(JumpTableData::new(otherwise, &table));
        self.builder.ins().br_table(start, table);
    }
}

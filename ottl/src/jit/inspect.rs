//! What a person may want to know of generated code: what runs inline, what is called, and the instructions.

use cranelift_codegen::{
    Context,
    control::ControlPlane,
    ir::{ExternalName, Function, Inst, InstructionData, Value, ValueDef},
    isa::CallConv,
};

use super::{Lowering, shim::Shim, target};
use crate::{
    ir::{CallId, ConstId, Ir, Node, NodeId, SetId},
    layout::Layout,
    program::NativeCall,
    trace,
};

/// The tests of a condition in order, each with what its code calls. Empty where the host has no code generator.
pub(crate) fn tests(ir: &Ir, layout: &Layout, root: NodeId) -> Vec<(String, Vec<NativeCall>)> {
    let Some(target) = target() else { return Vec::new() };
    let lowering = Lowering { ir, layout, slice_pointer: 0, target: target.isa.frontend_config() };
    let mut leaves = Vec::new();
    collect(ir, root, &mut leaves);
    leaves.into_iter().map(|leaf| (ir.phrase(leaf), calls(ir, &lowering.condition(leaf, CallConv::SystemV)))).collect()
}

fn collect(ir: &Ir, id: NodeId, leaves: &mut Vec<NodeId>) {
    match ir.get(id) {
        Node::And(operands) | Node::Or(operands) => operands.iter().for_each(|&operand| collect(ir, operand, leaves)),
        Node::Not(operand) => collect(ir, *operand, leaves),
        _ if !leaves.contains(&id) => leaves.push(id),
        _ => {}
    }
}

fn calls(ir: &Ir, function: &Function) -> Vec<NativeCall> {
    let mut found = Vec::new();
    for block in function.layout.blocks() {
        for inst in function.layout.block_insts(block) {
            if let Some(call) = call(ir, function, inst)
                && !found.contains(&call)
            {
                found.push(call);
            }
        }
    }
    found
}

fn call(ir: &Ir, function: &Function, inst: Inst) -> Option<NativeCall> {
    let InstructionData::Call { args, func_ref, .. } = &function.dfg.insts[inst] else { return None };
    let ExternalName::User(name) = function.dfg.ext_funcs.get(*func_ref)?.name else { return None };
    let shim = *Shim::ALL.get(function.params.user_named_funcs().get(name)?.index as usize)?;
    let which = args.as_slice(&function.dfg.value_lists).get(1).and_then(|&value| number(function, value));
    let work = match (shim, which) {
        (Shim::Truth | Shim::Value | Shim::Keep, Some(node)) if (node as usize) < ir.node_count() => {
            ir.phrase(NodeId(node))
        }
        (Shim::Matches | Shim::MatchesBehindPrefix, Some(call)) if (call as usize) < ir.calls().len() => {
            ir.phrase_call(CallId(call))
        }
        (Shim::InSet, Some(set)) if (set as usize) < ir.sets().len() => {
            format!("one of {} strings", ir.set_members(SetId(set)).len())
        }
        (Shim::OrderLiteral, Some(constant)) if (constant as usize) < ir.constants().len() => {
            format!("order of a string and {}", trace::text(ir.constant_value(ConstId(constant))))
        }
        (Shim::Order, _) => "order of two strings".to_owned(),
        _ => String::new(),
    };
    Some(NativeCall { helper: shim.name(), work })
}

/// The constant that a value is.
fn number(function: &Function, value: Value) -> Option<u32> {
    let ValueDef::Result(inst, _) = function.dfg.value_def(function.dfg.resolve_aliases(value)) else { return None };
    match &function.dfg.insts[inst] {
        InstructionData::UnaryImm { imm, .. } => u32::try_from(imm.bits()).ok(),
        _ => None,
    }
}

/// A condition's instructions on this host, and how many bytes they take. `None` where there is no code generator.
pub(crate) fn assembly(ir: &Ir, layout: &Layout, root: NodeId) -> Option<(String, usize)> {
    let target = target()?;
    let lowering = Lowering { ir, layout, slice_pointer: target.slice_pointer, target: target.isa.frontend_config() };
    let mut context = Context::for_function(lowering.condition(root, target.isa.default_call_conv()));
    context.set_disasm(true);
    let code = context.compile(&*target.isa, &mut ControlPlane::default()).ok()?;
    let mut text = code.vcode.clone().unwrap_or_default();
    for (at, shim) in Shim::ALL.into_iter().enumerate() {
        text = text.replace(&format!("userextname{at}"), shim.name());
    }
    Some((text, code.buffer.total_size() as usize))
}

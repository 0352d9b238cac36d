//! Functions of a program, compiled into a module that [`Code`](super::entry::Code) owns.

use cranelift_codegen::{Context, ir::Function, isa::CallConv};
use cranelift_jit::JITModule;
use cranelift_module::{FuncId, Linkage, Module, ModuleError};

use super::{
    lower::{Generated, Lowering},
    shim::Shim,
};

/// Boxed: it is large.
pub(super) type Failure = Box<ModuleError>;

/// Functions of a program.
pub(super) struct Defined {
    pub(super) conditions: Vec<Option<FuncId>>,
    pub(super) lists: Vec<Option<FuncId>>,
    /// Of the lists, over many spans.
    pub(super) rows: Vec<Option<FuncId>>,
}

/// A module in the making.
pub(super) struct Loader {
    pub(super) module: JITModule,
    pub(super) context: Context,
}

impl Loader {
    /// Compiles all functions.
    pub(super) fn define(
        &mut self,
        generated: &Generated<'_>,
        lowering: &Lowering<'_>,
        convention: CallConv,
    ) -> Result<Defined, Failure> {
        // Functions refer to shims by their place in `Shim::ALL`: they are the module's first functions.
        for shim in Shim::ALL {
            self.module.declare_function(shim.name(), Linkage::Import, &shim.signature(convention))?;
        }
        let mut conditions = Vec::with_capacity(generated.conditions.len());
        for &root in generated.conditions {
            let function = root.map(|root| self.function(lowering.condition(root, convention)));
            conditions.push(function.transpose()?);
        }
        let (mut lists, mut rows) = (Vec::new(), Vec::new());
        for list in generated.lists {
            let fits = !lowering.is_too_long(list);
            let function = fits.then(|| self.function(lowering.list(list, convention)));
            lists.push(function.transpose()?);
            let over_rows = (fits && list.over_rows).then(|| self.function(lowering.rows(list, convention)));
            rows.push(over_rows.transpose()?);
        }
        self.module.finalize_definitions()?;
        Ok(Defined { conditions, lists, rows })
    }

    fn function(&mut self, function: Function) -> Result<FuncId, Failure> {
        let id = self.module.declare_anonymous_function(&function.signature)?;
        self.context.func = function;
        self.module.define_function(id, &mut self.context)?;
        self.module.clear_context(&mut self.context);
        Ok(id)
    }
}

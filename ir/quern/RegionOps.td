// Fused regions, and the kernels and dispatches they become.
#ifndef QUERN_IR_QUERN_REGIONOPS_TD
#define QUERN_IR_QUERN_REGIONOPS_TD

include "ir/quern/QuernTypes.td"

def Quern_YieldOp : Quern_Op<"yield", [Quern_Structure, Pure, Terminator, ReturnLike, ParentOneOf<["FusedOp", "PackedOp", "KernelOp", "ScanOp"]>]> {
  let summary = "ends a region with its results";
  let description = [{
    Constraint C1: the operands' types are the parent's results.

    ```mlir
    %y = quern.fused rows (%x) : (tensor<?x64xf32, #quern.dims<"T">>) -> tensor<?x64xf32, #quern.dims<"T">> {
    ^bb0(%0: tensor<?x64xf32, #quern.dims<"T">>):
      quern.yield %0 : tensor<?x64xf32, #quern.dims<"T">>
    }
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def Quern_FusedOp : Quern_Op<"fused", [Quern_Structure, IsolatedFromAbove, SingleBlock, RecursiveMemoryEffects]> {
  let summary = "a fused region: one anchor with its prologue and epilogue";
  let description = [{
    What becomes one kernel. Everything it uses, weights and state included, is an input, so that regions of
    equal text share a kernel. `anchor` names the op the loops are built around, one that has AnchorOpInterface, or is
    `rows`: row by row, around no op; or `generic`: tensors of any rank and element type, element by element. Such a region holds
    ops of linalg, tensor, arith and math, and those of GeneralOps.td.

    Constraints: C1: block arguments have the inputs' types. C2: the yield has the results' types. C3: the body holds exactly
    one op of the anchor's name, where that is neither rows nor generic.

    ```mlir
    %y = quern.fused linear (%x, %w) : (tensor<?x64xf32, #quern.dims<"T">>, !quern.weight<96x64, "f32">) -> tensor<?x96xf32, #quern.dims<"T">> {
    ^bb0(%0: tensor<?x64xf32, #quern.dims<"T">>, %1: !quern.weight<96x64, "f32">):
      %2 = quern.linear %0, %1 : (tensor<?x64xf32, #quern.dims<"T">>, !quern.weight<96x64, "f32">) -> tensor<?x96xf32, #quern.dims<"T">>
      %3 = quern.unary silu %2 : tensor<?x96xf32, #quern.dims<"T">>
      quern.yield %3 : tensor<?x96xf32, #quern.dims<"T">>
    }
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$inputs, Quern_AnchorAttr:$anchor);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`` $anchor `(` $inputs `)` attr-dict `:` functional-type($inputs, $results) $body";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The op of the region's anchor; null where that is rows or generic.
    ::quern::AnchorOpInterface anchorOp();
    /// That op's answers, or those of rows or generic.
    ::quern::AnchorFacts anchorFacts();
  }];
}

def Quern_KernelOp : Quern_Op<"kernel", [Quern_Structure, IsolatedFromAbove, FunctionOpInterface, SingleBlock, OpAsmOpInterface]> {
  let summary = "a kernel: the body of a fused region, shared by its dispatches";
  let description = [{
    Constraint C1: the body's yield has the function type's results.

    ```mlir
    quern.kernel @linear_0 linear (%0: tensor<?x64xf32, #quern.dims<"T">>, %1: !quern.weight<96x64, "f32">) -> tensor<?x96xf32, #quern.dims<"T">> {
      %2 = quern.linear %0, %1 : (tensor<?x64xf32, #quern.dims<"T">>, !quern.weight<96x64, "f32">) -> tensor<?x96xf32, #quern.dims<"T">>
      quern.yield %2 : tensor<?x96xf32, #quern.dims<"T">>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type, Quern_AnchorAttr:$anchor,
                       OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::mlir::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    /// The op of the kernel's anchor; null where that is rows or generic.
    ::quern::AnchorOpInterface anchorOp();
    /// That op's answers, or those of rows or generic.
    ::quern::AnchorFacts anchorFacts();
  }];
}

def Quern_DispatchOp : Quern_Op<"dispatch", [Quern_Structure, DeclareOpInterfaceMethods<SymbolUserOpInterface>, MemoryEffects<[MemRead<Quern_StateResource>, MemWrite<Quern_StateResource>]>]> {
  let summary = "one step of a schedule: runs a kernel on named buffers";
  let description = [{
    `label` is the source's name for what it computes. `offsets`, once planned, gives each result its place in
    the arena, in bytes; -1: the result is an output of the entry and lies in the caller's memory. `scratch`, once planned,
    is the place of what the kernel's workers share while it runs, if there is such.

    A step is run by all of a device's workers, and a dispatch shared out among them. Once ordered, `barrier`: workers wait for
    each other before it; `replicated`: every worker computes all of it, for itself, and its results' offsets are of an arena that each worker
    has of its own; `argmax`: its result, one row, is all that the entry gives, and only the largest column of it may be asked for.

    Constraints: C1: the callee is a `quern.kernel` of the operands' and results' types. C2: as many offsets as results. C3: what is
    replicated has no result that is an output of the entry, and no scratch memory: there is one of these.

    ```mlir
    %y = quern.dispatch @linear_0(%x, %w) "model.layers.0.mlp.up_proj" at [4096] barrier : (tensor<?x64xf32, #quern.dims<"T">>, !quern.weight<96x64, "f32">) -> tensor<?x96xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<AnyType>:$inputs, StrAttr:$label, OptionalAttr<DenseI64ArrayAttr>:$offsets,
                       OptionalAttr<I64Attr>:$scratch, UnitAttr:$barrier, UnitAttr:$replicated, UnitAttr:$argmax);
  let results = (outs Variadic<AnyType>:$results);
  let assemblyFormat = "$kernel `(` $inputs `)` $label (`at` $offsets^)? (`scratch` $scratch^)? (`barrier` $barrier^)? (`replicated` $replicated^)? (`argmax` $argmax^)? attr-dict `:` functional-type($inputs, $results)";
  let hasVerifier = 1;
}

def Quern_RepeatOp : Quern_Op<"repeat", [Quern_Structure]> {
  let summary = "says that the dispatches that follow are layers that are alike";
  let description = [{
    The next turns * period dispatches are `turns` times the same `period` ones: alike but for numbers, which are the offsets of what
    they read and write and a state's group. So a target may write them once, as a loop. It computes nothing and orders nothing;
    the dispatches stand there all the same. `--quern-verify-order` holds it to what it says, and that no other
    `quern.repeat` stands among these dispatches.

    Constraint C1: at least two turns of at least one dispatch.

    ```mlir
    quern.repeat 28 times 9 dispatches
    ```
  }];
  let arguments = (ins I64Attr:$turns, I64Attr:$period);
  let assemblyFormat = "$turns `times` $period `dispatches` attr-dict";
  let hasVerifier = 1;
}

#endif // QUERN_IR_QUERN_REGIONOPS_TD

// State, the ragged batch, entries' rows.
#ifndef QUERN_IR_QUERN_STATEOPS_TD
#define QUERN_IR_QUERN_STATEOPS_TD

include "ir/quern/QuernTypes.td"

def Quern_DeclareStateOp : Quern_Op<"declare_state", [Quern_Structure, Symbol]> {
  let summary = "declares a state that every slot has";
  let description = [{
    The planner lays it out: kv states into pages (`group` is the kv group once planned, `offset`
    the place inside a page), the others at `offset` in a slot's fixed-size state.

    ```mlir
    quern.declare_state @l0.kv : !quern.state<kv, 3x64x64>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<Quern_State>:$type, OptionalAttr<I64Attr>:$offset, OptionalAttr<I32Attr>:$group);
  let assemblyFormat = "$sym_name `:` $type attr-dict";
}

def Quern_StateRefOp : Quern_Op<"state_ref", [Quern_Reference, Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a reference to a declared state";
  let description = [{
    Constraint C1: the symbol is a `quern.declare_state` of the result's type.

    ```mlir
    %y = quern.state_ref @l1.kv : !quern.state<kv, 2x16x16>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$name);
  let results = (outs Quern_State:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
}

def Quern_KvAppendOp : Quern_AnchorOp<"kv_append", [MemoryEffects<[MemWrite<Quern_StateResource>]>]> {
  let summary = "stores the step's keys and values in kv state";
  let description = [{
    For token t of sequence b at position p: state[b].keys[p] = keys[t], state[b].values[p] = values[t].
    Rows are [heads][dim]. A `shared` state is given keys alone.

    Constraints: C1: the state is kv [H, D, V]. C2: keys has H*D columns, values H*V, in the same rows. C3: there are values where the
    state is not `shared`.

    ```mlir
    quern.kv_append %k, %v, %batch, %kv : tensor<?x32xf32, #quern.dims<"T">>, tensor<?x32xf32, #quern.dims<"T">>, !quern.batch, !quern.state<kv, 2x16x16>
    ```
  }];
  let arguments = (ins Quern_Rows:$keys, Optional<Quern_Rows>:$values, Quern_Batch:$batch, Quern_State:$state);
  let assemblyFormat = "operands attr-dict `:` type(operands)";
  let hasVerifier = 1;
}

#endif // QUERN_IR_QUERN_STATEOPS_TD

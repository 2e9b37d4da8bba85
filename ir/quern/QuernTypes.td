// Types and attributes of the quern dialect.
#ifndef QUERN_IR_QUERN_QUERNTYPES_TD
#define QUERN_IR_QUERN_QUERNTYPES_TD

include "ir/quern/QuernDialect.td"

class Quern_Type<string name, string mnemonic_> : TypeDef<Quern_Dialect, name> {
  let mnemonic = mnemonic_;
}
class Quern_Attr<string name, string mnemonic_> : AttrDef<Quern_Dialect, name> {
  let mnemonic = mnemonic_;
}

def Quern_DimsAttr : Quern_Attr<"Dims", "dims"> {
  let summary = "names of a tensor type's dynamic dimensions, in order";
  let description = [{
    The encoding of a tensor type: `tensor<?x576xf32, #quern.dims<"T">>` has T rows.
    T is the step's tokens, B its sequences, R the tokens whose outputs are wanted. Any other name is an expression over the sizes that
    the module's `quern.sizes` bounds, as ir/symbols/Dim.h writes it: `tensor<?x?x64xf32, #quern.dims<"b", "past + s">>`. Equal texts are
    equal sizes.
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::StringAttr">:$names);
  let assemblyFormat = "`<` $names `>`";
}

def Quern_PartAttr : Quern_Attr<"Part", "part"> {
  let summary = "a tensor that is a part of a weight: file, offset and type of its elements";
  let parameters = (ins "int32_t":$file, "int64_t":$offset, StringRefParameter<>:$element);
  let assemblyFormat = "`<` $file `,` $offset `,` $element `>`";
}

def Quern_CodedAttr : Quern_Attr<"Coded", "coded"> {
  let summary = "how a weight is made of codes, scales and what else a checkpoint has in tensors of their own";
  let description = [{
    What ir/weights/CodedWeight.h calls a Coded, by the same names. `codes` is the type of the codes' elements; they lie
    where the weight's `file` and `offset` say.
  }];
  let parameters = (ins StringRefParameter<>:$layout, "int64_t":$bits, "int64_t":$group,
                        DefaultValuedParameter<"int64_t", "1">:$group_rows, DefaultValuedParameter<"bool", "false">:$zeros_less_one,
                        OptionalParameter<"::mlir::FloatAttr">:$scale_offset, OptionalParameter<"int64_t">:$scale_group,
                        StringRefParameter<>:$codes, "::quern::PartAttr":$scales, OptionalParameter<"::quern::PartAttr">:$zeros,
                        OptionalParameter<"::quern::PartAttr">:$groups, OptionalParameter<"::quern::PartAttr">:$table,
                        OptionalParameter<"::quern::PartAttr">:$scale_table, OptionalParameter<"::quern::PartAttr">:$scale_scales);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Quern_AnchorAttr : EnumAttr<Quern_Dialect, Quern_Anchor, "anchor">;

def Quern_StateKind : I32EnumAttr<"StateKind", "what a sequence carries between steps", [
    I32EnumAttrCase<"kv", 0>, I32EnumAttrCase<"recurrent", 1>, I32EnumAttrCase<"window", 2>]> {
  let cppNamespace = "::quern";
  let genSpecializedAttr = 0;
}

def Quern_StateFormat : I32EnumAttr<"StateFormat", "how a state's numbers are stored", [
    I32EnumAttrCase<"f32", 0>, I32EnumAttrCase<"f16", 1>, I32EnumAttrCase<"bf16", 2>,
    I32EnumAttrCase<"int8", 3>]> {
  let cppNamespace = "::quern";
  let genSpecializedAttr = 0;
}

def Quern_WeightType : Quern_Type<"Weight", "weight"> {
  let summary = "a reference to a weight: its shape and the format it is stored in";
  let description = [{
    `!quern.weight<576x192, "q4_1">`: 576 output rows of 192 inputs in blocks of GGUF's Q4_1. The
    format is a name that ir/formats knows. The value it stands for is always the decoded float.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "::mlir::StringAttr":$format);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Quern_StateType : Quern_Type<"State", "state"> {
  let summary = "what each sequence of the batch carries between steps";
  let description = [{
    - `!quern.state<kv, 3x64x64>`: grows by token; [kv heads, key dim, value dim] for each position. In float32, or as
      `!quern.state<kv, 3x64x64, bf16>` rounded to nearest (f16, bf16) as it is appended; finite numbers beyond
      the format become its largest. int8: each group of 32 numbers of a key or a value has a float32 scale, amax/127, and
      codes that are rounded to nearest even.
      `!quern.state<kv, 1x576x512, shared>`: of each position the keys alone are stored, and a head's values are the first
      columns of its keys (DeepSeek's latent attention).
    - `!quern.state<recurrent, 12x24x16>`: fixed; [heads, key dim, value dim].
    - `!quern.state<window, 240x3>`: fixed; [channels, positions], the latest position last.
  }];
  let parameters = (ins EnumParameter<Quern_StateKind>:$kind, ArrayRefParameter<"int64_t">:$shape, EnumParameter<Quern_StateFormat>:$format, "bool":$shared);
  let builders = [TypeBuilder<(ins "::quern::StateKind":$kind, "::llvm::ArrayRef<int64_t>":$shape,
                                   CArg<"::quern::StateFormat", "::quern::StateFormat::f32">:$format, CArg<"bool", "false">:$shared), [{
    return $_get($_ctxt, kind, shape, format, shared);
  }]>];
  let skipDefaultBuilders = 1;
  let extraClassDeclaration = [{
    /// The same in another format.
    StateType in(::quern::StateFormat format) const { return get(getContext(), getKind(), getShape(), format, getShared()); }
  }];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Quern_BatchType : Quern_Type<"Batch", "batch"> {
  let summary = "the step's ragged batch: where each sequence begins, its slot and its positions";
  let assemblyFormat = "";
}

def Quern_Q8RowsType : Quern_Type<"Q8Rows", "q8_rows"> {
  let summary = "activation rows quantized to int8 in groups of 16";
  let description = [{
    `!quern.q8_rows<"T", 576>`: T rows of 576 columns. Each group of 16 columns has a scale, those
    of a pair of groups a power of two apart; a row is laid out as QuernQ8Pair in
    runtime/abi/StepArgs.h says. `!quern.q8_rows<"T", 1536, 2>`: a row is two blocks of 768 columns, each
    quantized and laid out as a row of its own, one behind the other.
  }];
  let parameters = (ins "::mlir::StringAttr":$rows, "int64_t":$cols, DefaultValuedParameter<"int64_t", "1">:$blocks);
  let builders = [TypeBuilder<(ins "::mlir::StringAttr":$rows, "int64_t":$cols), [{
    return $_get($_ctxt, rows, cols, 1);
  }]>];
  let assemblyFormat = "`<` $rows `,` $cols (`,` $blocks^)? `>`";
  let genVerifyDecl = 1;
}

def Quern_Weight : Type<CPred<"::mlir::isa<::quern::WeightType>($_self)">, "weight reference", "::quern::WeightType">;
def Quern_State : Type<CPred<"::mlir::isa<::quern::StateType>($_self)">, "state", "::quern::StateType">;
def Quern_Batch : Type<CPred<"::mlir::isa<::quern::BatchType>($_self)">, "ragged batch", "::quern::BatchType">, BuildableType<"::quern::BatchType::get($_builder.getContext())">;
def Quern_Q8Rows : Type<CPred<"::mlir::isa<::quern::Q8RowsType>($_self)">, "int8 rows", "::quern::Q8RowsType">;
def Quern_Rows : Type<CPred<"::quern::isRows($_self)">, "activation rows, tensor<?xNxf32, #quern.dims<S>>", "::mlir::RankedTensorType">;
def Quern_Indices : Type<CPred<"::quern::isIndices($_self)">, "indices, tensor<?xi32, #quern.dims<S>>", "::mlir::RankedTensorType">;
def Quern_Choices : Type<CPred<"::quern::isChoices($_self)">, "numbers of experts, tensor<?xkxi32, #quern.dims<S>>", "::mlir::RankedTensorType">;
def Quern_Float32Tensor : Type<CPred<"::mlir::isa<::mlir::RankedTensorType>($_self) && ::mlir::cast<::mlir::RankedTensorType>($_self).hasStaticShape() && ::mlir::cast<::mlir::RankedTensorType>($_self).getElementType().isF32()">, "fixed tensor of float32", "::mlir::RankedTensorType">;
def Quern_LinearInput : AnyTypeOf<[Quern_Rows, Quern_Q8Rows]>;
def Quern_RowsOrWeight : AnyTypeOf<[Quern_Rows, Quern_Weight]>;

#endif // QUERN_IR_QUERN_QUERNTYPES_TD

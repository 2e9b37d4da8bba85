// Elements of tensors in memory, and what they are as values of the code.
//
// LLVM's half and bfloat arithmetic would call a library on some variants, so numbers of these
// types are float32 values that are rounded after each operation; f8 types are the bytes that they
// are. In memory a bool and an integer of less than a byte take one, whose upper bits are zero.
#ifndef QUERN_CODEGEN_CPU_ELEMENTTYPES_H
#define QUERN_CODEGEN_CPU_ELEMENTTYPES_H

#include "codegen/cpu/Code.h"

namespace quern::cpu {

/// What an element of this type is in memory.
Type memoryType(Type element);
/// What it is as a value.
Type valueType(Type element);
/// Bytes of an element.
int64_t elementBytes(Type element);

/// Element `index` of an array of them.
Value loadElement(Code &code, Type element, Value base, Value index);
void storeElement(Code &code, Type element, Value value, Value base, Value index);

/// The value rounded to the element type, f16 or bf16, of what was computed in float32 or float64;
/// any other as it is.
Value roundTo(Code &code, Type element, Value value);

/// The value of an attribute of the element type.
Value constantElement(Code &code, Type element, mlir::Attribute value);
/// The elements of a constant as an array in the module.
Value constantArray(Code &code, mlir::DenseElementsAttr elements);

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_ELEMENTTYPES_H

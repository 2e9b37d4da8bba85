// What microkernels take and give, made from their declarations (microkernels/Microkernels.h): what
// calls in generated code are held against when they are written, and bitcode when it is linked.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELTABLE_H
#define QUERN_CODEGEN_CPU_MICROKERNELTABLE_H

#include "codegen/cpu/microkernels/Microkernels.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <absl/status/status.h>

#include <string>
#include <type_traits>

namespace llvm {
class FunctionType;
class Module;
} // namespace llvm

namespace quern::cpu {

/// The name of what a pointer at the boundary points at. A microkernel that points at something
/// else does not compile until it has a name here.
template <class T> inline constexpr std::string_view kPointeeName = {};
template <> inline constexpr std::string_view kPointeeName<void> = "void";
template <> inline constexpr std::string_view kPointeeName<float> = "float";
template <> inline constexpr std::string_view kPointeeName<int32_t> = "int32_t";
template <> inline constexpr std::string_view kPointeeName<int64_t> = "int64_t";
template <> inline constexpr std::string_view kPointeeName<uint8_t> = "uint8_t";
template <> inline constexpr std::string_view kPointeeName<QuernStepArgs> = "QuernStepArgs";
template <> inline constexpr std::string_view kPointeeName<QkPanel> = "QkPanel";
template <> inline constexpr std::string_view kPointeeName<QkQ8Row> = "QkQ8Row";
template <> inline constexpr std::string_view kPointeeName<QkKeys> = "QkKeys";
template <> inline constexpr std::string_view kPointeeName<QkValues> = "QkValues";
#define QK_NAME(NAME, FIELDS)                                                                      \
  template <> inline constexpr std::string_view kPointeeName<NAME> = #NAME;
QK_FOR_EACH_STRUCT(QK_NAME)
#undef QK_NAME

/// A type at the boundary. LLVM's pointers are all alike; these know what they point at.
struct AbiType {
  enum Kind { none, i32, i64, f32, f64, pointer, other };
  Kind kind = none;
  std::string_view pointee; ///< of a pointer: its name, "" if nobody said; of another type: its own
  bool constant = false;    ///< of a pointer: nothing is written through it

  bool operator==(const AbiType &) const = default;
  /// As C has it: int64_t, const QkPanel *.
  std::string str() const;
  /// Whether a value of this type can be handed over for one of `parameter`: the same type, a
  /// pointer to what may be written for one to what is only read, and any pointer for const void *.
  bool fits(const AbiType &parameter) const;
};

template <class T> constexpr AbiType abiType() {
  if constexpr (std::is_void_v<T>)
    return {AbiType::none, {}, false};
  else if constexpr (std::is_pointer_v<T>) {
    using Pointee = std::remove_pointer_t<T>;
    static_assert(!kPointeeName<std::remove_const_t<Pointee>>.empty(), "give it a name above");
    return {AbiType::pointer, kPointeeName<std::remove_const_t<Pointee>>, std::is_const_v<Pointee>};
  } else if constexpr (std::is_same_v<T, int32_t>)
    return {AbiType::i32, {}, false};
  else if constexpr (std::is_same_v<T, int64_t>)
    return {AbiType::i64, {}, false};
  else if constexpr (std::is_same_v<T, double>)
    return {AbiType::f64, {}, false};
  else {
    static_assert(std::is_same_v<T, float>, "no type for microkernels");
    return {AbiType::f32, {}, false};
  }
}

struct Parameter {
  AbiType type;
  llvm::StringRef name;
};

struct Signature {
  llvm::StringRef name;
  AbiType result;
  std::vector<Parameter> parameters;

  /// float qk_sum(const float *x, int64_t n)
  std::string str() const;
};

/// All microkernels, in the order of their declarations.
llvm::ArrayRef<Signature> microkernels();
/// The one of that name; null if there is none.
const Signature *findMicrokernel(llvm::StringRef name);

/// What is wrong with a call: an internal error that names the callee, and an argument by number
/// and name, and both types.
absl::Status checkCall(llvm::StringRef callee, llvm::ArrayRef<AbiType> arguments);

/// What is wrong with one value that is handed over: `what` is its place.
absl::Status checkValue(llvm::StringRef what, const AbiType &given, const AbiType &due);

/// Holds the bitcode that microkernels are linked from against the table, and against what
/// `generated` declares of them: an internal error that names what is missing, or has another type.
/// The linker would not mind: pointers being alike, it calls a function as if it had the other
/// type.
absl::Status checkBitcode(const llvm::Module &bitcode, const llvm::Module &generated,
                          llvm::StringRef variant);

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_MICROKERNELTABLE_H

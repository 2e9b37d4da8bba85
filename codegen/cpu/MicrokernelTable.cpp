// See MicrokernelTable.h.
#include "codegen/cpu/MicrokernelTable.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Module.h"

#include <absl/strings/str_cat.h>

namespace quern::cpu {
namespace {

/// Reads a signature off a declaration: its types from the function's, its names from the text of
/// its parameters, "(const float *x, int64_t n)".
template <class Function> struct Reader;
template <class Result, class... Parameters> struct Reader<Result(Parameters...)> {
  static Signature read(llvm::StringRef name, llvm::StringRef parameters) {
    Signature signature{name, abiType<Result>(), {}};
    llvm::SmallVector<llvm::StringRef> texts;
    parameters.trim("()").split(texts, ',');
    size_t next = 0;
    (signature.parameters.push_back({abiType<Parameters>(), nameIn(texts[next++])}), ...);
    return signature;
  }
  static llvm::StringRef nameIn(llvm::StringRef text) {
    return text.drop_front(text.find_last_of(" *") + 1);
  }
};

std::vector<Signature> readAll() {
  return {
#define QK_SIGNATURE(RESULT, NAME, PARAMETERS) Reader<decltype(NAME)>::read(#NAME, #PARAMETERS),
      QK_FOR_EACH_KERNEL(QK_SIGNATURE)
#undef QK_SIGNATURE
  };
}

/// What a type of the boundary is in LLVM.
bool isLowered(const llvm::Type *type, const AbiType &abi) {
  switch (abi.kind) {
  case AbiType::none:
    return type->isVoidTy();
  case AbiType::i32:
    return type->isIntegerTy(32);
  case AbiType::i64:
    return type->isIntegerTy(64);
  case AbiType::f32:
    return type->isFloatTy();
  case AbiType::f64:
    return type->isDoubleTy();
  case AbiType::pointer:
    return type->isPointerTy();
  case AbiType::other:
    return false;
  }
  llvm_unreachable("all kinds are named");
}

bool isLowered(const llvm::FunctionType *type, const Signature &signature) {
  return !type->isVarArg() && isLowered(type->getReturnType(), signature.result) &&
         type->getNumParams() == signature.parameters.size() &&
         llvm::all_of(llvm::zip(type->params(), signature.parameters), [](const auto &pair) {
           return isLowered(std::get<0>(pair), std::get<1>(pair).type);
         });
}

std::string text(const llvm::Type *type) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  type->print(stream);
  return text;
}

/// A string that the bitcode has; empty if it has none.
llvm::StringRef stringIn(const llvm::Module &bitcode, llvm::StringRef name) {
  const llvm::GlobalVariable *global = bitcode.getNamedGlobal(name);
  if (!global || !global->hasInitializer())
    return {};
  auto *data = llvm::dyn_cast<llvm::ConstantDataSequential>(global->getInitializer());
  return data && data->isCString() ? data->getAsCString() : llvm::StringRef();
}

constexpr const char *kHint = "\nhint: this is a fault of quern itself; please report it";

} // namespace

std::string AbiType::str() const {
  switch (kind) {
  case none:
    return "void";
  case i32:
    return "int32_t";
  case i64:
    return "int64_t";
  case f32:
    return "float";
  case f64:
    return "double";
  case pointer:
    return pointee.empty() ? "a pointer to nobody knows what"
                           : absl::StrCat(constant ? "const " : "", std::string(pointee), " *");
  case other:
    return std::string(pointee);
  }
  llvm_unreachable("all kinds are named");
}

bool AbiType::fits(const AbiType &parameter) const {
  if (kind != parameter.kind || kind == none || kind == other)
    return false;
  return kind != pointer || ((pointee == parameter.pointee || parameter.pointee == "void") &&
                             (!constant || parameter.constant));
}

std::string Signature::str() const {
  auto join = [](const AbiType &type, llvm::StringRef name) {
    std::string text = type.str();
    return absl::StrCat(text, llvm::StringRef(text).ends_with("*") ? "" : " ", name.str());
  };
  std::vector<std::string> texts;
  for (const Parameter &parameter : parameters)
    texts.push_back(join(parameter.type, parameter.name));
  return absl::StrCat(join(result, name), "(", texts.empty() ? "void" : llvm::join(texts, ", "),
                      ")");
}

llvm::ArrayRef<Signature> microkernels() {
  static const std::vector<Signature> all = readAll();
  return all;
}

const Signature *findMicrokernel(llvm::StringRef name) {
  static const llvm::StringMap<const Signature *> byName = [] {
    llvm::StringMap<const Signature *> map;
    for (const Signature &signature : microkernels())
      map[signature.name] = &signature;
    return map;
  }();
  return byName.lookup(name);
}

absl::Status checkValue(llvm::StringRef what, const AbiType &given, const AbiType &due) {
  if (given.fits(due))
    return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(what.str(), " is ", given.str(), ", where ", due.str(), " is due", kHint));
}

absl::Status checkCall(llvm::StringRef callee, llvm::ArrayRef<AbiType> arguments) {
  const Signature *signature = findMicrokernel(callee);
  if (!signature)
    return absl::InternalError(
        absl::StrCat("there is no microkernel '", callee.str(), "', which a kernel calls", kHint));
  if (arguments.size() != signature->parameters.size())
    return absl::InternalError(absl::StrCat("a call of ", callee.str(), " has ", arguments.size(),
                                            " arguments, where ", signature->str(), " takes ",
                                            signature->parameters.size(), kHint));
  for (auto [i, argument] : llvm::enumerate(arguments)) {
    const Parameter &parameter = signature->parameters[i];
    if (absl::Status status =
            checkValue(absl::StrCat("argument ", i + 1, " (", parameter.name.str(),
                                    ") of a call of ", callee.str()),
                       argument, parameter.type);
        !status.ok())
      return status;
  }
  return absl::OkStatus();
}

absl::Status checkBitcode(const llvm::Module &bitcode, const llvm::Module &generated,
                          llvm::StringRef variant) {
  for (const Signature &signature : microkernels()) {
    const llvm::Function *found = bitcode.getFunction(signature.name);
    if (!found || found->isDeclaration())
      return absl::InternalError(absl::StrCat("the microkernels of ", variant.str(), " have no ",
                                              signature.name.str(), kHint));
    if (!isLowered(found->getFunctionType(), signature))
      return absl::InternalError(absl::StrCat(
          "in the microkernels of ", variant.str(), " ", signature.name.str(), " has the type ",
          text(found->getFunctionType()), ", where ", signature.str(), " is declared", kHint));
  }
#define QK_CHECK(NAME, FIELDS)                                                                     \
  if (llvm::StringRef found = stringIn(bitcode, "qk_fields_" #NAME);                               \
      found != FIELDS(QK_FIELD_TEXT))                                                              \
    return absl::InternalError(absl::StrCat(                                                       \
        "the microkernels of ", variant.str(), " have " #NAME " with the fields '", found.str(),   \
        "', where the compiler has '", FIELDS(QK_FIELD_TEXT), "'", kHint));
  QK_FOR_EACH_STRUCT(QK_CHECK)
#undef QK_CHECK
  for (const llvm::Function &function : generated) {
    if (!function.isDeclaration() || !function.getName().starts_with("qk_"))
      continue;
    const Signature *signature = findMicrokernel(function.getName());
    if (!signature)
      return absl::InternalError(absl::StrCat("there is no microkernel '", function.getName().str(),
                                              "', which a kernel calls", kHint));
    if (!isLowered(function.getFunctionType(), *signature))
      return absl::InternalError(absl::StrCat("generated code calls ", function.getName().str(),
                                              " as ", text(function.getFunctionType()), ", where ",
                                              signature->str(), " is declared", kHint));
  }
  return absl::OkStatus();
}

} // namespace quern::cpu

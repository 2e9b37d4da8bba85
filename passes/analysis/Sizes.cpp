#include "passes/analysis/Sizes.h"

#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"
#include "passes/analysis/Buffers.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

symbols::Maxima sizesOf(Operation *op) {
  symbols::Maxima maxima;
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<ModuleOp>();
  auto sizes = module ? module->getAttrOfType<DictionaryAttr>(attrs::kSizes) : DictionaryAttr();
  for (NamedAttribute size : sizes ? sizes.getValue() : ArrayRef<NamedAttribute>())
    if (auto most = dyn_cast<IntegerAttr>(size.getValue()))
      maxima[size.getName().str()] = most.getInt();
  return maxima;
}

DictionaryAttr countedSizesOf(Operation *op) {
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<ModuleOp>();
  return module ? module->getAttrOfType<DictionaryAttr>(attrs::kCountedSizes) : DictionaryAttr();
}

StringRef countedSize(WhereTrueOp op) {
  const DictionaryAttr counted = countedSizesOf(op);
  ArrayRef<StringAttr> names = dimNames(op.getType());
  return counted && !names.empty() && counted.contains(names.front()) ? names.front().getValue()
                                                                      : StringRef();
}

CountedUses countedUses(KernelOp kernel) {
  CountedUses uses;
  const DictionaryAttr counted = countedSizesOf(kernel);
  if (!counted || counted.empty())
    return uses;
  const symbols::Maxima sizes = sizesOf(kernel);
  auto add = [&](SmallVectorImpl<unsigned> &to, StringRef name) {
    const auto place = std::distance(sizes.begin(), sizes.find(name.str()));
    if (!llvm::is_contained(to, place))
      to.push_back(static_cast<unsigned>(place));
  };
  auto read = [&](StringRef text) {
    if (const std::optional<symbols::Dim> dim = dimOf(text, sizes))
      for (const std::string &symbol : dim->symbols())
        if (counted.contains(symbol))
          add(uses.read, symbol);
  };
  auto readType = [&](Type type) {
    for (StringAttr name : dimNames(type))
      read(name.getValue());
  };
  llvm::for_each(kernel.getArgumentTypes(), readType);
  kernel.walk([&](Operation *op) {
    llvm::for_each(op->getResultTypes(), readType);
    if (auto size = dyn_cast<SizeOp>(op))
      read(size.getDim());
    else if (auto where = dyn_cast<WhereTrueOp>(op); where && !countedSize(where).empty())
      add(uses.written, countedSize(where));
  });
  return uses;
}

std::optional<symbols::Dim> dimOf(StringRef text, const symbols::Maxima &sizes) {
  const auto dim = symbols::parse_dim(std::string_view(text.data(), text.size()));
  if (!dim.ok() || !dim->valid())
    return std::nullopt;
  for (const std::string &symbol : dim->symbols())
    if (!sizes.contains(symbol))
      return std::nullopt;
  return *dim;
}

int64_t mostOf(const symbols::Dim &dim, const symbols::Maxima &sizes) {
  return std::clamp<int64_t>(symbols::bounds(dim, sizes).high, 0, kTooMany);
}

ArrayRef<StringAttr> dimNames(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto dims = tensor ? dyn_cast_or_null<DimsAttr>(tensor.getEncoding()) : DimsAttr();
  return dims ? dims.getNames() : ArrayRef<StringAttr>();
}

bool takesSizes(func::FuncOp entry) {
  return llvm::none_of(
      llvm::concat<const Type>(entry.getArgumentTypes(), entry.getResultTypes()), [](Type type) {
        return isa<BatchType>(type) || llvm::any_of(dimNames(type), [](StringAttr name) {
                 return isKnownSymbol(name.getValue());
               });
      });
}

int64_t elementBytes(Type element) {
  return llvm::divideCeil(element.isIndex() ? 64 : element.getIntOrFloatBitWidth(), 8);
}

} // namespace quern

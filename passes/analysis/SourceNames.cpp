#include "passes/analysis/SourceNames.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace quern {

std::string sourceName(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc))
    return name.getName().str();
  if (auto call = dyn_cast<CallSiteLoc>(loc))
    return sourceName(call.getCallee());
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    SmallVector<std::string> names;
    for (Location part : fused.getLocations())
      names.push_back(sourceName(part));
    return mergeNames(names);
  }
  return "";
}

std::string mergeNames(ArrayRef<std::string> names) {
  SmallVector<StringRef> distinct;
  for (const std::string &name : names)
    if (!name.empty() && !llvm::is_contained(distinct, name))
      distinct.push_back(name);
  if (distinct.empty())
    return "";
  if (distinct.size() == 1)
    return distinct[0].str();

  SmallVector<SmallVector<StringRef>> parts(distinct.size());
  size_t shortest = SIZE_MAX;
  for (auto [name, split] : llvm::zip(distinct, parts)) {
    name.split(split, '.');
    shortest = std::min(shortest, split.size());
  }
  // Every name keeps at least one part of its own.
  auto agree = [&](auto part) {
    return llvm::all_of(parts, [&](const auto &split) { return part(split) == part(parts[0]); });
  };
  size_t prefix = 0, suffix = 0;
  while (prefix + 1 < shortest && agree([&](const auto &split) { return split[prefix]; }))
    ++prefix;
  while (prefix + suffix + 1 < shortest &&
         agree([&](const auto &split) { return split[split.size() - 1 - suffix]; }))
    ++suffix;

  std::string result;
  for (StringRef part : ArrayRef(parts[0]).take_front(prefix))
    result += (part + ".").str();
  result += "{";
  result +=
      llvm::join(llvm::map_range(parts,
                                 [&](const auto &split) {
                                   return llvm::join(ArrayRef<StringRef>(split).slice(
                                                         prefix, split.size() - prefix - suffix),
                                                     ".");
                                 }),
                 ",");
  result += "}";
  for (StringRef part : ArrayRef(parts[0]).take_back(suffix))
    result += ("." + part).str();
  return result;
}

Location mergeLocations(ArrayRef<Location> locs) {
  SmallVector<std::string> names = llvm::map_to_vector(locs, sourceName);
  std::string merged = mergeNames(names);
  if (merged.empty())
    return locs.front();
  return NameLoc::get(StringAttr::get(locs.front()->getContext(), merged));
}

} // namespace quern

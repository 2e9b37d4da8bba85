#include "passes/quantize/RoomForInt8.h"

#include "passes/analysis/PanelBytes.h"

#include "llvm/ADT/STLExtras.h"

#include <functional>
#include <numeric>
#include <utility>
#include <vector>

using namespace mlir;

namespace quern {
namespace {

int64_t elements(WeightType type) {
  ArrayRef<int64_t> shape = type.getShape();
  return std::accumulate(shape.begin(), shape.end(), int64_t(1), std::multiplies<>());
}

int64_t storedBytes(const StoredWeight &weight) {
  const formats::Format *format = formats::find_format(weight.format);
  return weight.matrix ? panelBytes(weight.type, format->packing()) : 4 * elements(weight.type);
}

/// Matrices of one shape that are read in one way.
struct Class {
  ArrayRef<int64_t> shape;
  bool lookedUp = false, result = false;
  int64_t cost = 0; ///< bytes that int8 takes more, of each
  SmallVector<StoredWeight *> weights;

  bool isTable() const { return lookedUp || result; }
};

} // namespace

void useRoom(MutableArrayRef<StoredWeight *> weights, const formats::Format &format, bool budget) {
  const formats::Packing &int8 = formats::find_format(kInt8.str())->packing();
  int64_t all = 0, tables = 0, bytes = 0;
  std::vector<Class> classes;
  for (StoredWeight *weight : weights) {
    all += elements(weight->type);
    bytes += storedBytes(*weight);
    // What is in the format already would be no more exact in another.
    if (weight->format != format.name() || weight->type.getFormat() == format.name())
      continue;
    if (weight->isTable())
      tables += elements(weight->type);
    auto alike = llvm::find_if(classes, [&](const Class &known) {
      return known.shape == weight->type.getShape() && known.lookedUp == weight->lookedUp &&
             known.result == weight->result;
    });
    if (alike == classes.end()) {
      Class fresh;
      fresh.shape = weight->type.getShape();
      fresh.lookedUp = weight->lookedUp;
      fresh.result = weight->result;
      fresh.cost = panelBytes(weight->type, int8) - panelBytes(weight->type, format.packing());
      alike = classes.insert(alike, std::move(fresh));
    }
    alike->weights.push_back(weight);
  }
  const auto costOfAll = [](const Class &alike) {
    return alike.cost * static_cast<int64_t>(alike.weights.size());
  };
  const auto take = [&](const Class &alike) {
    for (StoredWeight *weight : alike.weights)
      weight->format = kInt8.str();
    bytes += costOfAll(alike);
  };
  if (!budget || static_cast<double>(tables) >= kLargeTables * static_cast<double>(all)) {
    for (const Class &alike : classes)
      if (alike.isTable())
        take(alike);
    return;
  }
  // Rounding moves what a matrix computes by as much whatever its size, so that the smallest gain
  // most for their bytes. Of two that gain as much, the first one read comes first.
  SmallVector<std::pair<int64_t, size_t>> order;
  for (const auto &[i, alike] : llvm::enumerate(classes))
    order.push_back({alike.isTable() ? alike.cost / kTableGain : alike.cost, i});
  llvm::sort(order);
  const double room = (format.bits_per_weight() + kRoom) / 8 * static_cast<double>(all);
  for (const auto &[cost, i] : order)
    if (static_cast<double>(bytes + costOfAll(classes[i])) <= room)
      take(classes[i]);
}

} // namespace quern

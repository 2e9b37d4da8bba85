#include "compiler/driver/QuantReport.h"

#include "codegen/artifact/Weights.h"
#include "compiler/driver/TextFile.h"
#include "passes/analysis/PanelBytes.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <set>

namespace quern::driver {
namespace {

// The formats that the model's own weights have.
std::string source_formats(PackedOp packed) {
  std::set<std::string> formats;
  packed.walk([&](WeightRefOp ref) { formats.insert(ref.getType().getFormat().str()); });
  std::string list;
  for (const std::string &format : formats)
    list += (list.empty() ? "" : ",") + format;
  return list;
}

} // namespace

absl::Status write_quant_report(const std::string &path, mlir::ModuleOp planned,
                                const std::vector<formats::ErrorStats> &errors,
                                const std::vector<formats::ErrorStats> &in_int8) {
  const formats::Format &next = *formats::find_format(kNextFormat);
  nlohmann::ordered_json weights = nlohmann::ordered_json::array();
  uint64_t total = 0;
  double all_elements = 0;
  size_t i = 0;
  for (PackedOp packed : artifact::packed_in_order(planned)) {
    const formats::ErrorStats error = i < errors.size() ? errors[i] : formats::ErrorStats();
    const formats::ErrorStats better = i < in_int8.size() ? in_int8[i] : formats::ErrorStats();
    ++i;
    const auto bytes = static_cast<uint64_t>(packed.getBytes().value_or(0));
    const auto shape = packed.getType().getShape().vec();
    double elements = 1;
    for (const int64_t dim : shape)
      elements *= static_cast<double>(dim);
    total += bytes;
    all_elements += elements;
    weights.push_back({{"name", packed.getSymName().str()},
                       {"from", source_formats(packed)},
                       {"format", packed.getType().getFormat().str()},
                       {"packing", packed.getPacking().str()},
                       {"shape", shape},
                       {"bytes", bytes},
                       {"bits_per_weight", 8 * static_cast<double>(bytes) / elements},
                       {"rmse", error.rmse()},
                       {"max_error", error.max_error},
                       {"relative_error", std::sqrt(error.relative_energy())}});
    const formats::Format *format = formats::find_format(packed.getType().getFormat().str());
    if (error.count > 0 && format && format->bits_per_weight() < next.bits_per_weight())
      weights.back()[kNextFormat] = {{"bytes", panelBytes(packed.getType(), next.packing())},
                                     {"relative_error", std::sqrt(better.relative_energy())}};
  }
  const nlohmann::ordered_json report = {
      {"weights", weights},
      {"bytes", total},
      {"bits_per_weight", all_elements > 0 ? 8 * static_cast<double>(total) / all_elements : 0}};
  const std::string text =
      report.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  return write_text(path, text);
}

} // namespace quern::driver

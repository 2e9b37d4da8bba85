#include "codegen/cuda/tuning/ProductTable.h"

#include "codegen/cuda/DeviceHeaders.h"
#include "ir/formats/Packing.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

namespace quern::cuda {
namespace {

constexpr DeviceHeader kBuiltIn[] = {
#include "codegen/cuda/ProductTable.inc"
};
constexpr std::string_view kColumns = "packing,inputs,panels,together,ring,device";

absl::Status wrong(int line, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", std::string(what)));
}

absl::StatusOr<ProductTable> read_current() {
  const char *path = std::getenv("QUERN_CUDA_TUNING");
  if (!path || !*path)
    return ProductTable::parse(kBuiltIn[0].text);
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return absl::NotFoundError(absl::StrCat("QUERN_CUDA_TUNING names ", path,
                                            ", which cannot be read\nhint: unset it, and the "
                                            "compiler's own table is taken"));
  auto table = ProductTable::parse(std::string(std::istreambuf_iterator<char>(in), {}));
  if (!table.ok())
    return absl::InvalidArgumentError(absl::StrCat(
        path, ", ", table.status().message(), "\nhint: benchmarks/gpu/tune writes such a table"));
  return table;
}

} // namespace

absl::StatusOr<ProductTable> ProductTable::parse(std::string_view text) {
  ProductTable table;
  int line = 0;
  bool begun = false;
  for (absl::string_view row : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    ++line;
    if (row.empty() || row.front() == '#')
      continue;
    if (!begun) {
      if (row != absl::string_view(kColumns.data(), kColumns.size()))
        return wrong(line, absl::StrCat("the columns are ", std::string(kColumns)));
      begun = true;
      continue;
    }
    // The device's name may have commas.
    const std::vector<std::string> fields = absl::StrSplit(row, absl::MaxSplits(',', 5));
    int64_t inputs = 0, panels = 0;
    StreamedCut cut;
    if (fields.size() != 6 || !absl::SimpleAtoi(fields[1], &inputs) ||
        !absl::SimpleAtoi(fields[2], &panels) || !absl::SimpleAtoi(fields[3], &cut.panels) ||
        !absl::SimpleAtoi(fields[4], &cut.warp_bytes) || inputs < 1 || panels < 1)
      return wrong(line, absl::StrCat("'", std::string(row), "' is not ", std::string(kColumns)));
    const auto packing = formats::parse_packing(fields[0]);
    if (!packing.ok())
      return wrong(line, std::string(packing.status().message()));
    if (!cut.fits(panels))
      return wrong(line,
                   absl::StrCat("panels are computed 1, 2, 4 or 8 at a time, of which ", panels,
                                " are a multiple, and a warp's ring has 1024 to 65536 bytes"));
    const StreamedShape shape = streamed_shape(*packing, panels, inputs, 8, cut);
    if (!shape.is_possible())
      return wrong(line, absl::StrCat("rings of ", cut.warp_bytes,
                                      " bytes a warp take more shared memory than a block has, of "
                                      "which a product's are ",
                                      shape.product_bytes(), " bytes"));
    if (!table.cuts_.emplace(Shape(fields[0], panels, inputs), cut).second)
      return wrong(line, "this shape came before");
  }
  if (!begun)
    return wrong(line, absl::StrCat("there is no line ", std::string(kColumns)));
  return table;
}

const absl::StatusOr<ProductTable> &ProductTable::current() {
  static const absl::StatusOr<ProductTable> table = read_current();
  return table;
}

StreamedCut ProductTable::cut(const formats::Packing &packing, int64_t panels,
                              int64_t inputs) const {
  const auto found = cuts_.find(Shape(formats::packing_name(packing), panels, inputs));
  return found == cuts_.end() ? StreamedCut() : found->second;
}

} // namespace quern::cuda

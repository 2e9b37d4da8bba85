#include "compiler/driver/PlanSvg.h"

#include "runtime/session/Memory.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_replace.h>

#include <algorithm>

namespace quern::driver {
namespace {

using artifact::items;
using artifact::text;

constexpr double kWidth = 1200;
constexpr double kHeight = 600;
constexpr double kMargin = 40;

std::string escaped(std::string_view name) {
  return absl::StrReplaceAll(absl::string_view(name.data(), name.size()),
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

} // namespace

std::string plan_svg(const artifact::Manifest &manifest) {
  const artifact::Entry *entry = nullptr;
  const artifact::Bucket *largest = nullptr;
  for (const artifact::Entry *e : items(manifest.entries()))
    for (const artifact::Bucket *bucket : items(e->buckets()))
      if (!largest || bucket->arena() > largest->arena()) {
        entry = e;
        largest = bucket;
      }
  std::string out =
      absl::StrFormat("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\" "
                      "font-family=\"sans-serif\" font-size=\"14\">\n",
                      kWidth + 2 * kMargin, kHeight + 2 * kMargin);
  if (largest) {
    const double dispatches = std::max<double>(1, items(largest->dispatches()).size());
    const double arena = std::max<double>(1, static_cast<double>(largest->arena()));
    absl::StrAppendFormat(
        &out, "<text x=\"%g\" y=\"%g\">%s.%s: arena %s over %g dispatches</text>\n", kMargin,
        kMargin - 14, escaped(text(entry->name())), escaped(text(largest->name())),
        session::human_bytes(largest->arena()), dispatches);
    absl::StrAppendFormat(&out,
                          "<rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" fill=\"#f4f4f4\"/>\n",
                          kMargin, kMargin, kWidth, kHeight);
    uint32_t hue = 0;
    for (const artifact::Buffer *buffer : items(largest->buffers())) {
      hue = (hue + 137) % 360; // golden angle: neighbours in time differ
      absl::StrAppendFormat(
          &out,
          "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"hsl(%u,55%%,65%%)\" "
          "stroke=\"#333\" stroke-width=\"0.3\"><title>%s: %s at %u, dispatches %u to "
          "%u</title></rect>\n",
          kMargin + kWidth * buffer->first() / dispatches,
          kMargin + kHeight * static_cast<double>(buffer->offset()) / arena,
          kWidth * (buffer->last() - buffer->first() + 1) / dispatches,
          kHeight * static_cast<double>(buffer->size()) / arena, hue, escaped(text(buffer->name())),
          session::human_bytes(buffer->size()), buffer->offset(), buffer->first(), buffer->last());
    }
  }
  return out + "</svg>\n";
}

} // namespace quern::driver

// Packed weights back to floats, panel by panel: what proofs and the interpreter read.
//
// decode_packed_row (PackingLayout.h) says what the values are; here all that lies together is read
// together, which halves the time that a proof takes.
#include "ir/formats/Packing.h"

#include <algorithm>
#include <cstring>

namespace quern::formats {
namespace {

/// Lanes [from, to) of a float panel; `out` is lane `from`'s row.
template <class Element, float (*widen)(Element)>
void spread(const std::byte *panel, int from, int to, int64_t inputs, float *out) {
  // What the lanes read stays in the first cache, however long the rows are.
  constexpr int64_t kBlock = 128;
  for (int64_t first = 0; first < inputs; first += kBlock) {
    const int64_t end = std::min(inputs, first + kBlock);
    for (int lane = from; lane < to; ++lane)
      for (int64_t k = first; k < end; ++k) {
        Element element;
        std::memcpy(&element, panel + (k * kPanelLanes + lane) * int64_t{sizeof element},
                    sizeof element);
        out[(lane - from) * inputs + k] = widen(element);
      }
  }
}

float same(float value) { return value; }

/// One lane's codes of a record. Four codes that follow one another are four bytes that do.
void load_codes(const Packing &packing, const uint8_t *record, int lane, uint8_t *codes) {
  const int rows = packing.group / (packing.bits == 8 ? 4 : 8);
  for (int row = 0; row < rows; ++row) {
    uint32_t bytes;
    std::memcpy(&bytes, record + 64 * row + 4 * lane, sizeof bytes);
    const uint32_t low = packing.bits == 8 ? bytes : bytes & 0x0f0f0f0f;
    std::memcpy(codes + 4 * row, &low, sizeof low);
    if (packing.bits == 8)
      continue;
    const uint32_t high = bytes >> 4 & 0x0f0f0f0f;
    std::memcpy(codes + 4 * (row + rows), &high, sizeof high);
  }
}

void spread_codes(const Packing &packing, const uint8_t *panel, int from, int to, int64_t inputs,
                  float *out) {
  uint8_t codes[kPackedInputs];
  for (int64_t index = 0, first = 0; first < inputs; ++index, first += packing.group) {
    const uint8_t *record = panel + packing.record_at(index);
    const auto count = static_cast<int>(std::min<int64_t>(packing.group, inputs - first));
    for (int lane = from; lane < to; ++lane) {
      load_codes(packing, record, lane, codes);
      const float scale = packed_scale(packing, panel, index, lane);
      const float min = packed_min(packing, panel, index, lane);
      float *values = out + (lane - from) * inputs + first;
      for (int k = 0; k < count; ++k)
        values[k] = scale * static_cast<float>(codes[k] - packing.zero_point);
      if (packing.has_min)
        for (int k = 0; k < count; ++k)
          values[k] += min;
    }
  }
}

void spread_panel(const Packing &packing, const std::byte *panel, int from, int to, int64_t inputs,
                  float *out) {
  switch (packing.kind) {
  case Packing::F32:
    return spread<float, same>(panel, from, to, inputs, out);
  case Packing::F16:
    return spread<uint16_t, f16_to_f32>(panel, from, to, inputs, out);
  case Packing::BF16:
    return spread<uint16_t, bf16_to_f32>(panel, from, to, inputs, out);
  case Packing::Q:
    return spread_codes(packing, reinterpret_cast<const uint8_t *>(panel), from, to, inputs, out);
  }
}

} // namespace

void rows_from_packed(const Packing &packing, const std::byte *packed, int64_t first, int64_t count,
                      int64_t inputs, float *out) {
  const int64_t end = first + count;
  while (first < end) {
    const int64_t panel = first / kPanelLanes;
    const auto from = static_cast<int>(first % kPanelLanes);
    const auto to = static_cast<int>(std::min<int64_t>(kPanelLanes, from + end - first));
    spread_panel(packing, packed + panel * packing.panel_bytes(inputs), from, to, inputs, out);
    first += to - from;
    out += (to - from) * inputs;
  }
}

} // namespace quern::formats

// The formats that kv state is stored in, one a line: what a number of a key or a value takes in a
// page (StepArgs.h), and what it can hold. Freestanding.
//
// Who counts a page's bytes, the microkernels, the device library, `--kv` and its help read this
// table; docs/guides/adding-a-kv-format.md says what else a line takes.
#ifndef QUERN_RUNTIME_ABI_KVFORMATS_H
#define QUERN_RUNTIME_ABI_KVFORMATS_H

#include "runtime/abi/StepArgs.h"

// X(name, type of a number in microkernels, (bytes of one, whether groups of QUERN_KV_GROUP have a
// float32 scale, the bits of the largest finite number, as a float32, that numbers beyond it
// become; 0: there are none)): float32, and those that are converted from it.
#define QUERN_FOR_EACH_SHORT_KV_FORMAT(X, ...)                                                     \
  X(f16, _Float16, (2, false, 0x477fe000u)__VA_OPT__(, ) __VA_ARGS__)                              \
  X(bf16, BFloat16, (2, false, 0x7f7f0000u)__VA_OPT__(, ) __VA_ARGS__)                             \
  X(int8, signed char, (1, true, 0)__VA_OPT__(, ) __VA_ARGS__)
#define QUERN_FOR_EACH_KV_FORMAT(X, ...)                                                           \
  X(f32, float, (4, false, 0)__VA_OPT__(, ) __VA_ARGS__)                                           \
  QUERN_FOR_EACH_SHORT_KV_FORMAT(X __VA_OPT__(, ) __VA_ARGS__)

#ifdef __cplusplus

namespace quern {

/// In the order of the table, as the IR's StateFormat is.
enum class KvFormat {
#define QUERN_KV_(NAME, TYPE, FACTS) NAME,
  QUERN_FOR_EACH_KV_FORMAT(QUERN_KV_)
#undef QUERN_KV_
};

struct KvFacts {
  int bytes;            ///< of a number
  bool scaled;          ///< groups have scales
  unsigned int largest; ///< its bits as a float32's; 0: float32's own
};

/// What the table says.
constexpr KvFacts kv_facts(KvFormat format) {
#define QUERN_KV_FACTS_(BYTES, SCALED, LARGEST) KvFacts{BYTES, SCALED, LARGEST}
#define QUERN_KV_(NAME, TYPE, FACTS)                                                               \
  if (format == KvFormat::NAME)                                                                    \
    return QUERN_KV_FACTS_ FACTS;
  QUERN_FOR_EACH_KV_FORMAT(QUERN_KV_)
#undef QUERN_KV_
#undef QUERN_KV_FACTS_
  return {};
}

/// Floats in front of the numbers of a part of a page: the scales of `dim` numbers a position.
constexpr long long kv_scales(KvFormat format, long long dim) {
  return kv_facts(format).scaled ? (dim + QUERN_KV_GROUP - 1) / QUERN_KV_GROUP * QUERN_KV_PAGE : 0;
}
/// Bytes of the keys, or values, of a head in a page.
constexpr long long kv_part_bytes(KvFormat format, long long dim) {
  return kv_scales(format, dim) * 4 + dim * QUERN_KV_PAGE * kv_facts(format).bytes;
}

} // namespace quern

#endif // __cplusplus

#endif // QUERN_RUNTIME_ABI_KVFORMATS_H

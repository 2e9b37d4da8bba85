// Kernels that faults are planted in.
#ifndef QUERN_TESTS_PTX_PLANTEDKERNELS_H
#define QUERN_TESTS_PTX_PLANTEDKERNELS_H

#include "tests/ptx/Words.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace quern::ptx {

/// A module with one kernel, k(.u64 in, .u64 out). In its body %t is the thread, %b the block, %in
/// and %out the arguments, %x and %f registers of 32 bits, %a of addresses.
inline std::string kernel(std::string_view body, std::string_view shared = "") {
  return concat(R"(.version 7.8
.target sm_80
.address_size 64
.visible .entry k(.param .u64 k_in, .param .u64 k_out)
{
  .reg .pred %p, %q;
  .reg .u32 %t, %b, %x<8>;
  .reg .u64 %in, %out, %a<8>;
)",
                shared, R"(
  ld.param.u64 %in, [k_in];
  ld.param.u64 %out, [k_out];
  mov.u32 %t, %tid.x;
  mov.u32 %b, %ctaid.x;
)",
                body, "  ret;\n}\n");
}

/// A text with parts of it replaced, all at once.
inline std::string
replaced(const std::string &text,
         std::initializer_list<std::pair<std::string_view, std::string_view>> parts) {
  std::string made;
  for (size_t at = 0; at < text.size();) {
    const auto part = std::find_if(parts.begin(), parts.end(), [&](const auto &pair) {
      return text.compare(at, pair.first.size(), pair.first) == 0;
    });
    made += part != parts.end() ? part->second : std::string_view(text).substr(at, 1);
    at += part != parts.end() ? part->first.size() : 1;
  }
  return made;
}

/// The line, from 1, on which a part of a text stands.
inline int line_of(const std::string &text, std::string_view part) {
  const size_t at = text.find(part);
  return at == std::string::npos ? 0
                                 : static_cast<int>(std::count(
                                       text.begin(), text.begin() + static_cast<long>(at), '\n')) +
                                       1;
}

inline constexpr std::string_view kSharedWords = "  .shared .align 16 .b8 s[4096];";

// Each thread writes its word and reads another's.
inline std::string exchange(std::string_view between, std::string_view partner) {
  return kernel(concat(R"(
  mov.u64 %a1, s;
  mul.wide.u32 %a2, %t, 4;
  add.u64 %a3, %a1, %a2;
  st.shared.u32 [%a3], %b;
  bar.sync 1; // what was never written is another fault
  st.shared.u32 [%a3], %t;
  )",
                       between, R"(
  xor.b32 %x1, %t, )",
                       partner, R"(;
  mul.wide.u32 %a2, %x1, 4;
  add.u64 %a3, %a1, %a2;
  ld.shared.u32 %x2, [%a3];
  mul.wide.u32 %a2, %t, 4;
  add.u64 %a4, %out, %a2;
  st.global.u32 [%a4], %x2;
)"),
                kSharedWords);
}

// Each thread's copy is read by another thread.
inline std::string copies(std::string_view wait, std::string_view between,
                          std::string_view partner) {
  return kernel(concat(R"(
  mov.u64 %a1, s;
  mul.wide.u32 %a2, %t, 16;
  add.u64 %a3, %a1, %a2;
  add.u64 %a4, %in, %a2;
  cp.async.cg.shared.global [%a3], [%a4], 16;
  cp.async.commit_group;
  )",
                       wait, "\n  ", between, R"(
  xor.b32 %x1, %t, )",
                       partner, R"(;
  mul.wide.u32 %a2, %x1, 16;
  add.u64 %a3, %a1, %a2;
  ld.shared.v4.u32 {%x2, %x3, %x4, %x5}, [%a3];
  mul.wide.u32 %a2, %t, 4;
  add.u64 %a4, %out, %a2;
  st.global.u32 [%a4], %x2;
)"),
                kSharedWords);
}

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_PLANTEDKERNELS_H

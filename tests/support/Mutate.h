// Deterministic damage to a file's bytes: what parsers must survive.
#ifndef QUERN_TESTS_SUPPORT_MUTATE_H
#define QUERN_TESTS_SUPPORT_MUTATE_H

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

namespace quern::testing_support {

/// The `index`-th mutation of `original`, always the same: a few bit flips, bytes overwritten by
/// values that matter to parsers (0, 1, 0x7f, 0x80, 0xff, brackets), a whole u64 overwritten by a
/// large number, bytes inserted, removed or repeated, and sometimes the tail cut.
inline std::string mutate(const std::string &original, uint32_t index) {
  std::mt19937 engine(index);
  const auto below = [&](size_t n) { return n == 0 ? size_t{0} : engine() % n; };
  std::string bytes = original;
  const size_t edits = 1 + below(4);
  for (size_t edit = 0; edit < edits && !bytes.empty(); ++edit) {
    const size_t at = below(bytes.size());
    switch (below(7)) {
    case 0:
    case 1:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
      break;
    case 2: {
      static constexpr char kValues[] = {0,   1,   9,   0x7f, '\x80', '\xff',
                                         '{', '}', '[', ']',  '"',    '-'};
      bytes[at] = kValues[below(sizeof(kValues))];
      break;
    }
    case 3:
      for (size_t i = 0; i < 8 && at + i < bytes.size(); ++i)
        bytes[at + i] = static_cast<char>(i == 7 ? below(128) : 0xff);
      break;
    case 4:
      bytes.insert(at, 1 + below(9), static_cast<char>(below(256)));
      break;
    case 5:
      bytes.erase(at, 1 + below(9));
      break;
    default:
      bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(40)));
      break;
    }
  }
  if (below(8) == 0)
    bytes.resize(below(bytes.size() + 1));
  return bytes;
}

} // namespace quern::testing_support

#endif // QUERN_TESTS_SUPPORT_MUTATE_H

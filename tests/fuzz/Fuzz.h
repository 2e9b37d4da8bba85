// What every fuzz target is made of: a function that reads any bytes, called under bounds that the
// house promises for any file (README.md).
#ifndef QUERN_TESTS_FUZZ_FUZZ_H
#define QUERN_TESTS_FUZZ_FUZZ_H

#include <cstdint>
#include <string>
#include <string_view>

namespace quern::fuzz {

/// Each target defines it: reads `bytes` as its parser would a file of them, and uses what it got
/// as the program would. Any bytes must end in success or in an absl::Status.
void read(std::string_view bytes);

/// Ends the run, and saves the input, because `what` does not hold.
[[noreturn]] void broken(std::string_view what);

inline void require(bool holds, std::string_view what) {
  if (!holds)
    broken(what);
}

/// Bytes as a file with a path, for readers that take one. In memory, and gone with the object.
class MemoryFile {
public:
  /// `zeros` more bytes follow `bytes`, and take no memory: weights whose values do not matter.
  explicit MemoryFile(std::string_view bytes, uint64_t zeros = 0);
  ~MemoryFile();
  MemoryFile(const MemoryFile &) = delete;
  MemoryFile &operator=(const MemoryFile &) = delete;

  const std::string &path() const { return path_; }

private:
  int descriptor_;
  std::string path_;
};

} // namespace quern::fuzz

#endif // QUERN_TESTS_FUZZ_FUZZ_H

// Objects that were made before, in a folder, by a key of all they were made from.
#ifndef QUERN_CODEGEN_CODECACHE_H
#define QUERN_CODEGEN_CODECACHE_H

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace quern::codegen {

/// Nothing here fails: what cannot be read, or is not what was written, is not there; what cannot
/// be written is not kept. Any number of processes may use one folder.
class CodeCache {
public:
  /// 256 MiB: some hundred models.
  static constexpr uint64_t kMostBytes = 256 << 20;

  /// `folder` is made when something is kept. An empty one keeps nothing.
  explicit CodeCache(std::string folder, uint64_t most_bytes = kMostBytes)
      : folder_(std::move(folder)), most_bytes_(most_bytes) {}

  /// The key of what is made from `parts` by this very program: its file is a part of the key, so
  /// that no change of the compiler meets what an older one made. Empty if it cannot be read.
  static std::string key(std::span<const std::string_view> parts);

  /// What was kept under the key. The find counts as a use.
  std::optional<std::string> find(const std::string &key) const;

  /// Keeps the bytes in place of any that the key has, and drops what was not used for the longest
  /// time while there is too much.
  void keep(const std::string &key, std::string_view bytes) const;

private:
  std::string path(const std::string &key) const;
  void drop_oldest() const;

  std::string folder_;
  uint64_t most_bytes_;
};

} // namespace quern::codegen

#endif // QUERN_CODEGEN_CODECACHE_H

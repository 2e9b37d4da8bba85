// States of prompts' beginnings, kept in a folder for later processes: `run --prefix-cache DIR`.
//
// Two kinds of files, each written to a temporary name and renamed, and never changed after that. A
// page's is what the kv groups that keep all positions have in one page, 64 tokens; prompts that
// begin alike share them. A point's is the rest of what a sequence is after some number of tokens:
// its fixed-size state, the pages that a window sees, and of the other groups the page it ends
// inside of. Points are at a prompt's last token but one, so that the same prompt is a hit too, and
// where its slot has checkpoints. A model without fixed-size state and windows needs no point: it
// goes on after any page.
//
// A file's name is a hash of all tokens before its end, page by page, behind the artifact's
// identity: so the longest prefix that is there is found by looking names up, from the longest to
// the shortest. Each file has all those tokens, too, and what is in it counts only if they are the
// prompt's. It belongs to its model, weights and formats, as a saved state does
// (Artifact::identity), and any artifact of the same, on any device, may read it.
//
// The folder may be used by any number of processes. Who finds it larger than the limit removes
// what was used longest ago; a file that goes while another reads it stays whole for that one.
#ifndef QUERN_RUNTIME_SESSION_PREFIXCACHE_H
#define QUERN_RUNTIME_SESSION_PREFIXCACHE_H

#include "runtime/session/StatePool.h"
#include "runtime/session/StateStream.h"

#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace quern::session {

/// What a lookup came to.
struct PrefixHit {
  uint64_t tokens = 0; ///< of the prompt, that the slot now holds; 0: a miss
  std::string why;     ///< that there are not more
};

class PrefixCache {
public:
  /// `bytes`: the limit on what the folder holds. `pool` must outlive it.
  PrefixCache(StatePool &pool, uint64_t identity, std::string folder, uint64_t bytes)
      : pool_(pool), identity_(identity), folder_(std::move(folder)), limit_(bytes) {}

  /// Makes the folder, where there is none. Error: the system's.
  absl::Status prepare() const;

  /// Brings the empty slot to the longest beginning of `prompt` that is there, but for its last
  /// token: there is one to feed. Files that are damaged are removed, and count as not there.
  PrefixHit find(SlotId slot, std::span<const int32_t> prompt) const;

  /// Writes the point at which the slot is, which is at most the prompt's last token but one.
  absl::Status save_point(SlotId slot) const;
  /// Writes what else the slot has of its first `length` tokens: pages and checkpoints. Then
  /// removes what was used longest ago, until the folder is within the limit.
  absl::Status save_rest(SlotId slot, uint64_t length) const;

private:
  /// Whether a sequence can go on after a page without a point there.
  bool needs_points() const;
  bool has_pages() const;
  std::string name(uint64_t hash, bool point) const;
  using PageOf = std::function<const uint8_t *(size_t group, uint64_t index)>;
  /// Writes a file of `bytes` behind the tokens, if it is not there and not larger than the limit.
  absl::Status write(const StateFileKind &kind, const std::string &name,
                     std::span<const int32_t> tokens, uint64_t bytes,
                     const std::function<absl::Status(StateWriter &)> &body) const;
  absl::Status write_point(const std::vector<uint64_t> &hashes, std::span<const int32_t> tokens,
                           const uint8_t *fixed, const PageOf &page) const;
  absl::Status read_page(SlotId slot, std::span<const int32_t> tokens,
                         const std::string &name) const;
  absl::Status read_point(SlotId slot, std::span<const int32_t> tokens,
                          const std::string &name) const;
  void trim() const;

  StatePool &pool_;
  uint64_t identity_;
  std::string folder_;
  uint64_t limit_;
};

} // namespace quern::session

#endif // QUERN_RUNTIME_SESSION_PREFIXCACHE_H

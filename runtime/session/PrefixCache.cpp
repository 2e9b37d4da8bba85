#include "runtime/session/PrefixCache.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace quern::session {
namespace {

constexpr StateFileKind kPage = {{'Q', 'U', 'E', 'R', 'N', 'P', 'G', '\n'}, 1, "page of a prefix"};
constexpr StateFileKind kPoint = {
    {'Q', 'U', 'E', 'R', 'N', 'P', 'T', '\n'}, 1, "point of a prefix"};
constexpr std::string_view kPageEnds = ".page", kPointEnds = ".point";
constexpr std::string_view kPartial = ".quern-partial-"; // AtomicFile's
constexpr int64_t kAbandonedSeconds = 3600;

using Tokens = std::span<const int32_t>;

uint64_t hash_after(uint64_t before, Tokens tokens) {
  artifact::Checksum sum;
  sum.add(&before, sizeof before);
  sum.add(tokens.data(), tokens.size_bytes());
  return sum.value();
}

// The hash after each whole page of the tokens, and before the first.
std::vector<uint64_t> page_hashes(Tokens tokens) {
  std::vector<uint64_t> hashes = {0};
  for (; tokens.size() >= QUERN_KV_PAGE; tokens = tokens.subspan(QUERN_KV_PAGE))
    hashes.push_back(hash_after(hashes.back(), tokens.first(QUERN_KV_PAGE)));
  return hashes;
}

uint64_t point_hash(const std::vector<uint64_t> &pages, Tokens tokens) {
  const uint64_t whole = tokens.size() / QUERN_KV_PAGE;
  return hash_after(pages[whole], tokens.subspan(whole * QUERN_KV_PAGE));
}

// A file of a cache, whosever: 16 hexadecimal digits, -, 16 more, and what its kind ends with.
struct CacheFile {
  uint64_t identity = 0, hash = 0;
  bool point = false, partial = false;
};
std::optional<CacheFile> parse_name(std::string_view name) {
  CacheFile file;
  if (const size_t partial = name.find(kPartial); partial != name.npos) {
    file.partial = true;
    name = name.substr(0, partial);
  }
  file.point = name.ends_with(kPointEnds);
  if (name.size() != 33 + (file.point ? kPointEnds : kPageEnds).size() || name[16] != '-' ||
      !(file.point || name.ends_with(kPageEnds)))
    return std::nullopt;
  const auto number = [](std::string_view digits, uint64_t *out) {
    return absl::SimpleHexAtoi(absl::string_view(digits.data(), digits.size()), out);
  };
  if (!number(name.substr(0, 16), &file.identity) || !number(name.substr(17, 16), &file.hash))
    return std::nullopt;
  return file;
}

// Calls visit(name) for each entry of the folder; one that cannot be read has none.
void list(const std::string &folder, const std::function<void(const char *)> &visit) {
  const std::unique_ptr<DIR, int (*)(DIR *)> stream(opendir(folder.c_str()), closedir);
  while (stream) {
    const dirent *entry = readdir(stream.get());
    if (!entry)
      return;
    visit(entry->d_name);
  }
}

bool exists(const std::string &path) { return access(path.c_str(), F_OK) == 0; }

// Used now: trim takes it for young. It may be gone, or another user's: then it stays as old as it
// is.
void touch(const std::string &path) { utimensat(AT_FDCWD, path.c_str(), nullptr, 0); }

// Reads the tokens a file has, and says NotFound if they are others: two prompts of one hash.
absl::Status read_tokens(StateReader &reader, Tokens expected) {
  if (reader.header().length != expected.size())
    return absl::NotFoundError("another prompt's");
  std::vector<int32_t> tokens(expected.size());
  if (absl::Status status = reader.read(tokens.data(), expected.size_bytes()); !status.ok())
    return status;
  if (std::ranges::equal(tokens, expected))
    return absl::OkStatus();
  // If that is what was written.
  absl::Status status =
      reader.skip(reader.header().file_size - sizeof(StateHeader) - expected.size_bytes());
  if (status.ok())
    status = reader.finish();
  return status.ok() ? absl::NotFoundError("another prompt's") : status;
}

// Calls visit(group, index) for each page of a point in the file's order.
template <typename Visit>
absl::Status visit_point_pages(const StatePool &pool, uint64_t length, Visit visit) {
  for (size_t g = 0; g < pool.num_groups(); ++g) {
    const uint64_t window = pool.window(g);
    for (uint64_t i = window != 0 ? first_page(window, length) : length / QUERN_KV_PAGE;
         i < pages_for(length); ++i)
      if (absl::Status status = visit(g, i); !status.ok())
        return status;
  }
  return absl::OkStatus();
}

StateHeader make_header(const StatePool &pool, uint64_t identity, Tokens tokens, uint64_t bytes) {
  StateHeader header = {};
  header.identity = identity;
  header.length = tokens.size();
  header.slot_bytes = pool.slot_bytes();
  header.file_size = sizeof header + tokens.size_bytes() + bytes;
  return header;
}

} // namespace

bool PrefixCache::has_pages() const {
  for (size_t g = 0; g < pool_.num_groups(); ++g)
    if (pool_.window(g) == 0)
      return true;
  return false;
}

bool PrefixCache::needs_points() const {
  for (size_t g = 0; g < pool_.num_groups(); ++g)
    if (pool_.window(g) != 0)
      return true;
  return pool_.slot_bytes() != 0;
}

absl::Status PrefixCache::prepare() const {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error || access(folder_.c_str(), R_OK | W_OK | X_OK) != 0)
    return absl::UnavailableError(absl::StrCat(
        folder_, ": cannot use it as a folder: ", error ? error.message() : std::strerror(errno)));
  return absl::OkStatus();
}

std::string PrefixCache::name(uint64_t hash, bool point) const {
  return absl::StrCat(folder_, "/", absl::Hex(identity_, absl::kZeroPad16), "-",
                      absl::Hex(hash, absl::kZeroPad16),
                      std::string(point ? kPointEnds : kPageEnds));
}

absl::Status PrefixCache::read_page(SlotId slot, Tokens tokens, const std::string &name) const {
  auto reader = StateReader::open(name, kPage, identity_, pool_.slot_bytes());
  if (!reader.ok())
    return reader.status();
  if (absl::Status status = read_tokens(*reader, tokens); !status.ok())
    return status;
  for (size_t g = 0; g < pool_.num_groups(); ++g)
    if (pool_.window(g) == 0)
      if (absl::Status status =
              reader->read_device(pool_.device(), pool_.page(g, slot, pages_for(tokens.size()) - 1),
                                  pool_.pages(g).page_bytes());
          !status.ok())
        return status;
  return reader->finish();
}

absl::Status PrefixCache::read_point(SlotId slot, Tokens tokens, const std::string &name) const {
  auto reader = StateReader::open(name, kPoint, identity_, pool_.slot_bytes());
  if (!reader.ok())
    return reader.status();
  if (absl::Status status = read_tokens(*reader, tokens); !status.ok())
    return status;
  absl::Status status =
      reader->read_device(pool_.device(), pool_.fixed_state(slot), pool_.slot_bytes());
  if (status.ok())
    status = visit_point_pages(pool_, tokens.size(), [&](size_t g, uint64_t i) {
      return reader->read_device(pool_.device(), pool_.page(g, slot, i),
                                 pool_.pages(g).page_bytes());
    });
  return status.ok() ? reader->finish() : status;
}

PrefixHit PrefixCache::find(SlotId slot, Tokens prompt) const {
  std::vector<uint64_t> names[2]; // hashes of pages and of points
  uint64_t foreign = 0;
  list(folder_, [&](const char *entry) {
    const auto file = parse_name(entry);
    if (file && !file->partial && file->identity == identity_)
      names[file->point].push_back(file->hash);
    else if (file)
      ++foreign;
  });
  for (std::vector<uint64_t> &hashes : names)
    std::ranges::sort(hashes);
  const auto &[pages, points] = names;

  const Tokens beginning = prompt.first(std::min<uint64_t>(prompt.size() - 1, pool_.ctx()));
  const std::vector<uint64_t> hashes = page_hashes(beginning);
  uint64_t whole = has_pages() ? 0 : hashes.size() - 1; // pages from the first on that are there
  while (whole + 1 < hashes.size() && std::ranges::binary_search(pages, hashes[whole + 1]))
    ++whole;
  PrefixHit hit;
  std::string damaged;
  uint64_t length = std::min<uint64_t>(beginning.size(), whole * QUERN_KV_PAGE + QUERN_KV_PAGE - 1);
  for (; length > 0; --length) {
    const Tokens tokens = beginning.first(length);
    const bool point = needs_points() || length % QUERN_KV_PAGE != 0;
    const uint64_t hash = point_hash(hashes, tokens);
    if (point && !std::ranges::binary_search(points, hash))
      continue;
    std::vector<uint64_t> first(pool_.num_groups());
    for (size_t g = 0; g < first.size(); ++g)
      first[g] = first_page(pool_.window(g), length);
    pool_.restore(slot, tokens, first);
    std::vector<std::string> used;
    absl::Status status;
    for (uint64_t i = 1; has_pages() && i <= length / QUERN_KV_PAGE && status.ok(); ++i) {
      used.push_back(name(hashes[i], false));
      status = read_page(slot, tokens.first(i * QUERN_KV_PAGE), used.back());
    }
    if (point && status.ok()) {
      used.push_back(name(hash, true));
      status = read_point(slot, tokens, used.back());
    }
    if (status.ok()) {
      // What others need goes last: the first pages are the youngest.
      for (; !used.empty(); used.pop_back())
        touch(used.back());
      hit.tokens = length;
      break;
    }
    pool_.rewind(slot, 0);
    const std::string &bad = used.back();
    if (bad.ends_with(kPageEnds)) // nothing after it is of use
      length = std::min<uint64_t>(length, used.size() * QUERN_KV_PAGE);
    if (absl::IsNotFound(status)) // removed since, or of another prompt
      continue;
    const bool remove = absl::IsDataLoss(status) || absl::IsInvalidArgument(status);
    damaged = absl::StrCat(bad, ": ", std::string(status.message()),
                           remove && unlink(bad.c_str()) == 0 ? "; it is removed" : "");
  }
  if (!damaged.empty())
    hit.why = damaged;
  else if (hit.tokens == beginning.size())
    hit.why = prompt.size() == 1 ? "one token has no beginning to save" : "";
  else if (pages.empty() && points.empty())
    hit.why = foreign == 0 ? "nothing is saved there yet"
                           : "all that is saved there is of other models or formats";
  else if (whole > 0 && has_pages() && needs_points())
    hit.why =
        absl::StrCat("the first ", whole * QUERN_KV_PAGE,
                     " of its tokens have kv state there, but recurrent or window state was ",
                     hit.tokens != 0 ? absl::StrCat("last saved after ", hit.tokens, " of them")
                                     : std::string("saved nowhere among them"));
  else if (hit.tokens != 0)
    hit.why = "what follows was not saved";
  else
    hit.why = has_pages() ? absl::StrCat("nothing that is saved there begins with the same ",
                                         QUERN_KV_PAGE, " tokens, or is a beginning of it")
                          : "no state that is saved there is of a beginning of it";
  return hit;
}

absl::Status PrefixCache::save_point(SlotId slot) const {
  const Tokens tokens = pool_.tokens(slot);
  const std::vector<uint64_t> hashes = page_hashes(tokens);
  return write_point(hashes, tokens, pool_.fixed_state(slot),
                     [&](size_t g, uint64_t i) { return pool_.page(g, slot, i); });
}

absl::Status PrefixCache::write_point(const std::vector<uint64_t> &hashes, Tokens tokens,
                                      const uint8_t *fixed, const PageOf &page) const {
  if (tokens.empty() || (!needs_points() && tokens.size() % QUERN_KV_PAGE == 0))
    return absl::OkStatus();
  uint64_t bytes = pool_.slot_bytes();
  (void)visit_point_pages(pool_, tokens.size(), [&](size_t g, uint64_t) {
    bytes += pool_.pages(g).page_bytes();
    return absl::OkStatus();
  });
  return write(
      kPoint, name(point_hash(hashes, tokens), true), tokens, bytes, [&](StateWriter &writer) {
        absl::Status status = writer.write_device(pool_.device(), fixed, pool_.slot_bytes());
        if (!status.ok())
          return status;
        return visit_point_pages(pool_, tokens.size(), [&](size_t g, uint64_t i) {
          return writer.write_device(pool_.device(), page(g, i), pool_.pages(g).page_bytes());
        });
      });
}

absl::Status PrefixCache::write(const StateFileKind &kind, const std::string &name, Tokens tokens,
                                uint64_t bytes,
                                const std::function<absl::Status(StateWriter &)> &body) const {
  const StateHeader header = make_header(pool_, identity_, tokens, bytes);
  if (exists(name) || header.file_size > limit_) {
    touch(name);
    return absl::OkStatus();
  }
  auto writer = StateWriter::create(name);
  if (!writer.ok())
    return writer.status();
  absl::Status status = writer->write(tokens.data(), tokens.size_bytes());
  if (status.ok())
    status = body(*writer);
  return status.ok() ? writer->commit(kind, header, /*durable=*/false) : status;
}

absl::Status PrefixCache::save_rest(SlotId slot, uint64_t length) const {
  const Tokens tokens = pool_.tokens(slot).first(length);
  const std::vector<uint64_t> hashes = page_hashes(tokens);
  uint64_t bytes = 0;
  for (size_t g = 0; g < pool_.num_groups(); ++g)
    bytes += pool_.window(g) == 0 ? pool_.pages(g).page_bytes() : 0;
  // The last first: the youngest are those that more prompts share.
  for (uint64_t i = has_pages() ? length / QUERN_KV_PAGE : 0; i > 0; --i) {
    absl::Status status =
        write(kPage, name(hashes[i], false), tokens.first(i * QUERN_KV_PAGE), bytes,
              [&](StateWriter &writer) {
                absl::Status written;
                for (size_t g = 0; g < pool_.num_groups() && written.ok(); ++g)
                  if (pool_.window(g) == 0)
                    written = writer.write_device(pool_.device(), pool_.page(g, slot, i - 1),
                                                  pool_.pages(g).page_bytes());
                return written;
              });
    if (!status.ok())
      return status;
  }
  for (const CheckpointList::Entry &entry : pool_.checkpoints(slot).entries())
    if (needs_points() && entry.length <= length)
      if (absl::Status status =
              write_point(hashes, tokens.first(entry.length), pool_.checkpoint_state(entry.id),
                          [&](size_t g, uint64_t i) {
                            return pool_.window(g) != 0 ? pool_.checkpoint_page(g, entry.id, i)
                                                        : pool_.page(g, slot, i);
                          });
          !status.ok())
        return status;
  trim();
  return absl::OkStatus();
}

void PrefixCache::trim() const {
  struct Used {
    timespec when;
    uint64_t bytes;
    std::string path;
  };
  std::vector<Used> files;
  uint64_t total = 0;
  const time_t now = std::time(nullptr);
  list(folder_, [&](const char *entry) {
    const auto file = parse_name(entry);
    const std::string path = absl::StrCat(folder_, "/", entry);
    struct stat info;
    if (!file || stat(path.c_str(), &info) != 0)
      return;
    if (!file->partial) {
      files.push_back({info.st_mtim, static_cast<uint64_t>(info.st_size), path});
      total += files.back().bytes;
    } else if (now - info.st_mtim.tv_sec > kAbandonedSeconds) {
      unlink(path.c_str()); // of a process that was killed
    }
  });
  std::ranges::sort(files, [](const Used &a, const Used &b) {
    return a.when.tv_sec != b.when.tv_sec     ? a.when.tv_sec < b.when.tv_sec
           : a.when.tv_nsec != b.when.tv_nsec ? a.when.tv_nsec < b.when.tv_nsec
                                              : a.path < b.path;
  });
  for (const Used &file : files) {
    if (total <= limit_)
      return;
    unlink(file.path.c_str()); // another process may have been first
    total -= file.bytes;
  }
}

} // namespace quern::session

// See CodeCache.h.
#include "codegen/CodeCache.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/MemoryBuffer.h"

#include <algorithm>
#include <filesystem>
#include <unistd.h>
#include <vector>

namespace fs = std::filesystem;

namespace quern::codegen {
namespace {

using Hash = llvm::BLAKE3Result<>;

Hash hash_of(llvm::StringRef bytes) {
  return llvm::BLAKE3::hash(llvm::arrayRefFromStringRef(bytes));
}

std::string_view bytes_of(const Hash &hash) {
  return {reinterpret_cast<const char *>(hash.data()), hash.size()};
}

/// The hash of the program that runs.
std::optional<Hash> program() {
  static const std::optional<Hash> hash = []() -> std::optional<Hash> {
    auto file = llvm::MemoryBuffer::getFile("/proc/self/exe", /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
    if (!file)
      return std::nullopt;
    return hash_of((*file)->getBuffer());
  }();
  return hash;
}

constexpr std::string_view kMagic = "QuernOb1";

} // namespace

std::string CodeCache::key(std::span<const std::string_view> parts) {
  const std::optional<Hash> self = program();
  if (!self)
    return "";
  llvm::BLAKE3 hasher;
  hasher.update(bytes_of(*self));
  for (const std::string_view part : parts)
    hasher.update(bytes_of(hash_of(part)));
  return llvm::toHex(hasher.final(), /*LowerCase=*/true);
}

std::string CodeCache::path(const std::string &key) const {
  return folder_ + "/" + key + ".object";
}

std::optional<std::string> CodeCache::find(const std::string &key) const {
  if (folder_.empty() || key.empty())
    return std::nullopt;
  const auto file = llvm::MemoryBuffer::getFile(path(key));
  if (!file)
    return std::nullopt;
  // The magic, the hash of the object, the object.
  const std::string_view all = (*file)->getBuffer();
  const size_t header = kMagic.size() + sizeof(Hash);
  if (all.size() < header || !all.starts_with(kMagic))
    return std::nullopt;
  const std::string_view object = all.substr(header);
  if (all.substr(kMagic.size(), sizeof(Hash)) != bytes_of(hash_of(object)))
    return std::nullopt;
  std::error_code ignored;
  fs::last_write_time(path(key), fs::file_time_type::clock::now(), ignored);
  return std::string(object);
}

void CodeCache::keep(const std::string &key, std::string_view bytes) const {
  if (folder_.empty() || key.empty())
    return;
  std::error_code error;
  if (fs::create_directories(folder_, error))
    fs::permissions(folder_, fs::perms::owner_all, error); // what lies here is run
  std::string scratch = folder_ + "/XXXXXX";
  const int file = mkstemp(scratch.data());
  if (file < 0)
    return;
  const std::string all = std::string(kMagic).append(bytes_of(hash_of(bytes))).append(bytes);
  const bool written = write(file, all.data(), all.size()) == static_cast<ssize_t>(all.size());
  close(file);
  if (written)
    fs::rename(scratch, path(key), error);
  if (!written || error)
    fs::remove(scratch, error);
  drop_oldest();
}

void CodeCache::drop_oldest() const {
  struct Entry {
    fs::file_time_type used;
    uint64_t bytes;
    fs::path path;
  };
  std::vector<Entry> entries;
  uint64_t sum = 0;
  std::error_code error;
  for (fs::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
    // What another process took away meanwhile has no size and no age.
    std::error_code gone;
    Entry entry{at->last_write_time(gone), 0, at->path()};
    if (!gone)
      entry.bytes = at->file_size(gone);
    if (gone)
      continue;
    sum += entry.bytes;
    entries.push_back(std::move(entry));
  }
  std::ranges::sort(entries, {}, &Entry::used);
  for (const Entry &entry : entries) {
    if (sum <= most_bytes_)
      return;
    fs::remove(entry.path, error);
    sum -= entry.bytes;
  }
}

} // namespace quern::codegen

#include "compiler/driver/EntrySizes.h"

#include "runtime/artifact/Artifact.h"

#include <algorithm>

namespace quern::driver {

using artifact::items;
using artifact::text;

std::vector<EntrySize> entry_sizes(const artifact::Manifest &manifest,
                                   const std::map<std::string, int64_t> &given) {
  std::vector<EntrySize> all;
  for (const artifact::Entry *entry : items(manifest.entries()))
    for (const artifact::Size *size : items(entry->sizes())) {
      std::string name(text(size->name()));
      const bool is_default = !given.contains(name);
      if (std::ranges::find(all, name, &EntrySize::name) == all.end())
        all.push_back({std::move(name), size->most(), is_default, size->bound() != nullptr});
    }
  return all;
}

std::vector<LargeBuffer> largest_buffers(const artifact::Manifest &manifest,
                                         std::string_view target, size_t count) {
  std::vector<LargeBuffer> all;
  for (const artifact::Entry *entry : items(manifest.entries()))
    for (const artifact::Bucket *bucket : items(entry->buckets()))
      if (!items(entry->sizes()).empty() && text(bucket->target()) == target)
        for (const artifact::Buffer *buffer : items(bucket->buffers()))
          all.push_back({std::string(text(buffer->name())), buffer->size()});
  std::ranges::sort(all, [](const LargeBuffer &a, const LargeBuffer &b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.name < b.name;
  });
  all.resize(std::min(all.size(), count));
  return all;
}

} // namespace quern::driver

#include "runtime/session/StateFile.h"

#include "runtime/session/StateStream.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

namespace quern::session {
namespace {

constexpr StateFileKind kKind = {{'Q', 'U', 'E', 'R', 'N', 'S', 'T', '\n'}, 4, "saved state"};

// What a body says before the state itself.
struct Contents {
  std::vector<int32_t> tokens;
  std::vector<uint64_t> first; // by group
  std::array<uint64_t, 2> marks{};
  std::vector<uint64_t> checkpoints; // positions
};

// What every file of `length` positions has: it is read before the rest is believed.
uint64_t bytes_before_state(const StatePool &pool, uint64_t length, uint64_t checkpoints) {
  return sizeof(StateHeader) + length * sizeof(int32_t) +
         (pool.num_groups() + 2 + checkpoints) * sizeof(uint64_t);
}

bool ends_inside_a_page(uint64_t length) { return length % QUERN_KV_PAGE != 0; }

// Calls visit(index) for each page of the group in the file, by number: those that the slot holds
// and, in a group with a window, those that a checkpoint holds to their end.
template <typename Visit>
absl::Status visit_pages(const StatePool &pool, const Contents &contents, size_t group,
                         Visit visit) {
  const uint64_t length = contents.tokens.size();
  uint64_t next = 0; // pages before it are done
  if (const uint64_t window = pool.window(group); window != 0)
    for (const uint64_t checkpoint : contents.checkpoints) { // ascending, and so are both ends
      const uint64_t end = std::min(checkpoint / QUERN_KV_PAGE, contents.first[group]);
      for (next = std::max(next, first_page(window, checkpoint)); next < end; ++next)
        if (absl::Status status = visit(next); !status.ok())
          return status;
    }
  for (uint64_t i = contents.first[group]; i < pages_for(length); ++i)
    if (absl::Status status = visit(i); !status.ok())
      return status;
  return absl::OkStatus();
}

// Contexts have less than 2^31 positions, and page bytes at most 2^46: no overflow in 128 bits.
uint64_t file_size(const StatePool &pool, const Contents &contents) {
  const uint64_t count = contents.checkpoints.size();
  unsigned __int128 bytes = bytes_before_state(pool, contents.tokens.size(), count);
  bytes += static_cast<unsigned __int128>(pool.slot_bytes()) * (1 + count);
  const auto partial = std::ranges::count_if(contents.checkpoints, ends_inside_a_page);
  for (size_t g = 0; g < pool.num_groups(); ++g) {
    uint64_t pages = pool.window(g) != 0 ? static_cast<uint64_t>(partial) : 0;
    (void)visit_pages(pool, contents, g, [&](uint64_t) {
      ++pages;
      return absl::OkStatus();
    });
    bytes += static_cast<unsigned __int128>(pages) * pool.pages(g).page_bytes();
  }
  return static_cast<uint64_t>(std::min<unsigned __int128>(bytes, UINT64_MAX));
}

// Where the page lies that a slot, or if it does not, one of its checkpoints holds to its end; null
// if none does.
uint8_t *page_of(const StatePool &pool, SlotId slot, size_t group, uint64_t index) {
  if (index >= pool.held(group, slot).first)
    return pool.page(group, slot, index);
  for (const CheckpointList::Entry &entry : pool.checkpoints(slot).entries())
    if (first_page(pool.window(group), entry.length) <= index &&
        index < entry.length / QUERN_KV_PAGE)
      return pool.checkpoint_page(group, entry.id, index);
  return nullptr;
}

// Walks the state that the body ends with, in the file's order: visit(address, bytes), with null
// for what the slot does not have (it has fewer checkpoints than `contents`).
template <typename Visit>
absl::Status visit_state(const StatePool &pool, SlotId slot, const Contents &contents,
                         Visit visit) {
  absl::Status status = visit(pool.fixed_state(slot), pool.slot_bytes());
  for (size_t g = 0; g < pool.num_groups() && status.ok(); ++g)
    status = visit_pages(pool, contents, g, [&](uint64_t i) {
      return visit(page_of(pool, slot, g, i), pool.pages(g).page_bytes());
    });
  for (const uint64_t length : contents.checkpoints) {
    const auto entry = pool.checkpoints(slot).last_before(length);
    const bool has = entry && entry->length == length;
    if (status.ok())
      status = visit(has ? pool.checkpoint_state(entry->id) : nullptr, pool.slot_bytes());
    for (size_t g = 0; g < pool.num_groups() && status.ok(); ++g)
      if (pool.window(g) != 0 && ends_inside_a_page(length))
        status = visit(has ? pool.checkpoint_page(g, entry->id, pages_for(length) - 1) : nullptr,
                       pool.pages(g).page_bytes());
  }
  return status;
}

absl::Status check_contents(const StatePool &pool, const Contents &contents, uint32_t vocab) {
  const uint64_t length = contents.tokens.size();
  for (int32_t token : contents.tokens)
    if (token < 0 || static_cast<uint32_t>(token) >= vocab)
      return absl::DataLossError(absl::StrCat("token ", token, " is not in the vocabulary"));
  for (size_t g = 0; g < contents.first.size(); ++g)
    if (!pool.suffices(g, contents.first[g], length))
      return absl::DataLossError(absl::StrCat("page ", contents.first[g],
                                              " cannot be the first of ", length,
                                              " positions that are kept"));
  if (contents.marks[0] > length || contents.marks[1] > length)
    return absl::DataLossError("it has marks beyond its end");
  uint64_t before = 0;
  for (const uint64_t checkpoint : contents.checkpoints) {
    const bool marked = checkpoint == contents.marks[0] || checkpoint == contents.marks[1];
    if (checkpoint <= before || checkpoint > length || (ends_inside_a_page(checkpoint) && !marked))
      return absl::DataLossError(
          absl::StrCat("there cannot be a checkpoint at position ", checkpoint));
    before = checkpoint;
  }
  return absl::OkStatus();
}

absl::StatusOr<Contents> read_contents(const StatePool &pool, StateReader &reader, uint32_t vocab) {
  const StateHeader &header = reader.header();
  if (header.length > pool.ctx())
    return absl::OutOfRangeError(absl::StrCat("it holds ", header.length,
                                              " positions, and the context is ", pool.ctx(),
                                              "\nhint: -c ", header.length, " or more"));
  if (header.count > header.length ||
      bytes_before_state(pool, header.length, header.count) > header.file_size)
    return absl::DataLossError(absl::StrCat("it says to have ", header.count, " checkpoints"));
  Contents contents;
  contents.tokens.resize(header.length);
  contents.first.resize(pool.num_groups());
  contents.checkpoints.resize(header.count);
  const std::pair<void *, uint64_t> parts[] = {
      {contents.tokens.data(), header.length * sizeof(int32_t)},
      {contents.first.data(), contents.first.size() * sizeof(uint64_t)},
      {contents.marks.data(), sizeof contents.marks},
      {contents.checkpoints.data(), header.count * sizeof(uint64_t)}};
  for (const auto &[data, bytes] : parts)
    if (absl::Status status = reader.read(data, bytes); !status.ok())
      return status;
  if (absl::Status status = check_contents(pool, contents, vocab); !status.ok())
    return status;
  if (const uint64_t wanted = file_size(pool, contents); wanted != header.file_size)
    return wrong_size(header.file_size, wanted);
  return contents;
}

// Those checkpoints that a slot of the pool would have kept, had it taken all of them.
CheckpointList kept_checkpoints(const StatePool &pool, const Contents &contents) {
  CheckpointList list(pool.checkpoint_sizes(), pool.max_tokens());
  for (const uint64_t mark : contents.marks)
    if (mark != 0)
      list.mark(mark);
  std::vector<int32_t> dropped; // none of them is anything yet
  for (const uint64_t length : contents.checkpoints)
    if (list.make_room(length, dropped))
      list.add(length, 0);
  return list;
}

// Fills the empty slot. On error the slot is left in any state.
absl::Status read_body(StatePool &pool, SlotId slot, uint32_t vocab, StateReader &reader) {
  const auto contents = read_contents(pool, reader, vocab);
  if (!contents.ok())
    return contents.status();
  // One that was saved where steps are longer has more of a window than a slot here keeps.
  std::vector<uint64_t> first = contents->first;
  for (size_t g = 0; g < first.size(); ++g)
    first[g] = std::max(first[g], pool.first_with_room(g, contents->tokens.size()));
  pool.restore(slot, contents->tokens, first);
  pool.restore_checkpoints(slot, kept_checkpoints(pool, *contents));
  absl::Status status = visit_state(pool, slot, *contents, [&](uint8_t *to, uint64_t bytes) {
    return to ? reader.read_device(pool.device(), to, bytes) : reader.skip(bytes);
  });
  return status.ok() ? reader.finish() : status;
}

} // namespace

absl::Status save_state(const StatePool &pool, SlotId slot, uint64_t identity,
                        const std::string &path) {
  const auto tokens = pool.tokens(slot);
  Contents contents;
  contents.tokens.assign(tokens.begin(), tokens.end());
  contents.marks = pool.checkpoints(slot).marks();
  for (size_t g = 0; g < pool.num_groups(); ++g)
    contents.first.push_back(pool.held(g, slot).first);
  for (const CheckpointList::Entry &entry : pool.checkpoints(slot).entries())
    contents.checkpoints.push_back(entry.length);

  auto writer = StateWriter::create(path);
  if (!writer.ok())
    return writer.status();
  const std::pair<const void *, uint64_t> parts[] = {
      {tokens.data(), tokens.size_bytes()},
      {contents.first.data(), contents.first.size() * sizeof(uint64_t)},
      {contents.marks.data(), sizeof contents.marks},
      {contents.checkpoints.data(), contents.checkpoints.size() * sizeof(uint64_t)}};
  for (const auto &[data, bytes] : parts)
    if (absl::Status status = writer->write(data, bytes); !status.ok())
      return status;
  absl::Status status = visit_state(pool, slot, contents, [&](const uint8_t *from, uint64_t bytes) {
    return writer->write_device(pool.device(), from, bytes);
  });
  if (!status.ok())
    return status;
  StateHeader header = {};
  header.identity = identity;
  header.length = tokens.size();
  header.slot_bytes = pool.slot_bytes();
  header.file_size = file_size(pool, contents);
  header.count = contents.checkpoints.size();
  return writer->commit(kKind, header, /*durable=*/true);
}

absl::StatusOr<SlotId> load_state(StatePool &pool, uint64_t identity, uint32_t vocab,
                                  const std::string &path) {
  auto at = [&](const absl::Status &status) {
    return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  };
  auto reader = StateReader::open(path, kKind, identity, pool.slot_bytes());
  if (!reader.ok())
    return at(reader.status());
  absl::StatusOr<SlotId> slot = pool.create_slot();
  if (!slot.ok())
    return slot;
  if (absl::Status status = read_body(pool, *slot, vocab, *reader); !status.ok()) {
    (void)pool.free_slot(*slot);
    return at(status);
  }
  return slot;
}

} // namespace quern::session

#include "runtime/session/Checkpoints.h"

#include <algorithm>
#include <bit>

namespace quern::session {

CheckpointList::CheckpointList(const CheckpointSizes &sizes, uint64_t max_tokens)
    : capacity_(sizes.per_slot), last_spacing_(std::max<uint64_t>(1, sizes.spacing)) {
  if (capacity_ != 0)
    first_spacing_ = std::min(std::max<uint64_t>(256, std::bit_floor(max_tokens)), last_spacing_);
  spacing_ = first_spacing_;
  entries_.reserve(capacity_);
}

void CheckpointList::assign(const CheckpointList &other) {
  entries_.assign(other.entries_.begin(), other.entries_.end()); // reserved
  marks_ = other.marks_;
  spacing_ = other.spacing_;
}

std::optional<CheckpointList::Entry> CheckpointList::last_before(uint64_t length) const {
  const auto after = std::ranges::upper_bound(entries_, length, {}, &Entry::length);
  return after == entries_.begin() ? std::nullopt : std::optional<Entry>(*std::prev(after));
}

bool CheckpointList::has(uint64_t length) const {
  const auto entry = last_before(length);
  return entry && entry->length == length;
}

void CheckpointList::mark(uint64_t length) {
  if (length != marks_[1])
    marks_ = {marks_[1], length};
}

void CheckpointList::prune(std::vector<int32_t> &dropped) {
  std::erase_if(entries_, [&](const Entry &entry) {
    if (keeps(entry.length))
      return false;
    dropped.push_back(entry.id);
    return true;
  });
}

bool CheckpointList::make_room(uint64_t length, std::vector<int32_t> &dropped) {
  if (capacity_ == 0)
    return false;
  prune(dropped); // what is marked no more
  while (keeps(length) && !has(length) && entries_.size() == capacity_) {
    if (spacing_ < last_spacing_)
      spacing_ *= 2;
    else if (marks_[0] != 0)
      marks_[0] = 0;
    else
      return false; // the plan has room for all multiples and one more
    prune(dropped);
  }
  return keeps(length) && !has(length);
}

void CheckpointList::shorten(uint64_t length, std::vector<int32_t> &dropped) {
  while (!entries_.empty() && entries_.back().length > length) {
    dropped.push_back(entries_.back().id);
    entries_.pop_back();
  }
  if (marks_[0] > length)
    marks_[0] = 0;
  if (marks_[1] > length)
    marks_ = {0, marks_[0]};
  if (entries_.empty())
    spacing_ = first_spacing_;
}

} // namespace quern::session

#include "ir/reference/ReferenceState.h"

#include <absl/strings/str_cat.h>

namespace quern::reference {

int64_t ReferenceState::tokens(int64_t slot) const {
  const auto found = slots_.find(slot);
  return found == slots_.end() ? 0 : found->second.tokens;
}

void ReferenceState::fork(int64_t from, int64_t to) {
  // A copy first: assigning through operator[] could move what `from` refers to.
  Slot copy = slots_[from];
  slots_[to] = std::move(copy);
}

absl::Status ReferenceState::truncate(int64_t slot, int64_t tokens) {
  const int64_t has = this->tokens(slot);
  if (tokens < 0 || tokens > has)
    return absl::OutOfRangeError(
        absl::StrCat("slot ", slot, " has ", has, " tokens, and cannot be cut to ", tokens));
  if (tokens == has)
    return absl::OkStatus();
  if (tokens == 0) {
    reset(slot);
    return absl::OkStatus();
  }
  Slot &kept = slots_[slot];
  if (!kept.fixed.empty())
    return absl::FailedPreconditionError(
        absl::StrCat("slot ", slot, " has ", has, " tokens and cannot go back to ", tokens, ": ",
                     kept.fixed.begin()->first, " is recurrent or convolution state"));
  // What lies past the end is overwritten before it is read again.
  kept.tokens = tokens;
  return absl::OkStatus();
}

std::vector<double> &ReferenceState::growing(int64_t slot, const std::string &name, int64_t width,
                                             int64_t positions) {
  std::vector<double> &numbers = slots_[slot].growing[name];
  if (numbers.size() < static_cast<size_t>(width * positions))
    numbers.resize(static_cast<size_t>(width * positions));
  return numbers;
}

std::vector<double> &ReferenceState::fixed(int64_t slot, const std::string &name, int64_t size) {
  std::vector<double> &numbers = slots_[slot].fixed[name];
  numbers.resize(static_cast<size_t>(size));
  return numbers;
}

} // namespace quern::reference

#include "tests/ptx/memory/Streams.h"

#include <algorithm>

namespace quern::ptx::memory {
namespace {

void join(Streams::Known &mine, const Streams::Known &other) {
  if (mine.size() < other.size())
    mine.resize(other.size());
  for (size_t i = 0; i < other.size(); ++i)
    mine[i] = std::max(mine[i], other[i]);
}

uint32_t known_of(const Streams::Known &known, Streams::Stream stream) {
  return stream < known.size() ? known[stream] : 0;
}

} // namespace

Streams::Stream Streams::create(bool non_blocking) {
  streams_.emplace_back().non_blocking = non_blocking;
  return static_cast<Stream>(streams_.size() - 1);
}

Streams::Known Streams::record(Stream stream) const {
  Known known = streams_[stream].known;
  if (known.size() <= stream)
    known.resize(stream + 1);
  known[stream] = static_cast<uint32_t>(streams_[stream].issued.size());
  return known;
}

Streams::Operation Streams::issue(Stream stream) {
  Timeline &timeline = streams_[stream];
  join(timeline.known, host_);
  if (stream == 0) {
    for (Stream other = 1; other < streams_.size(); ++other)
      if (!streams_[other].non_blocking)
        join(timeline.known, record(other));
  } else if (!timeline.non_blocking) {
    join(timeline.known, record(0));
  }
  latest_ = record(stream);
  operations_.push_back({stream, static_cast<uint32_t>(timeline.issued.size() + 1)});
  const Operation operation = static_cast<Operation>(operations_.size());
  timeline.issued.push_back(operation);
  return operation;
}

void Streams::wait(Stream stream, const Known &event) { join(streams_[stream].known, event); }
void Streams::synchronize(const Known &event) { join(host_, event); }

void Streams::synchronize_all() {
  for (Stream stream = 0; stream < streams_.size(); ++stream)
    synchronize(stream);
}

bool Streams::is_before_latest(Operation operation) const {
  const Issued &issued = operations_[operation - 1];
  return known_of(latest_, issued.stream) >= issued.number;
}

bool Streams::is_past(Operation operation) const {
  const auto [of, number] = operations_[operation - 1];
  if (known_of(host_, of) >= number)
    return true;
  for (Stream stream = 0; stream < streams_.size(); ++stream)
    if (stream != of && known_of(streams_[stream].known, of) < number)
      return false;
  return true;
}

bool Streams::all_past() const {
  return std::all_of(streams_.begin(), streams_.end(), [&](const Timeline &timeline) {
    return timeline.issued.empty() || is_past(timeline.issued.back());
  });
}

Streams::Operation Streams::first_beside_latest() const {
  Operation first = static_cast<Operation>(operations_.size());
  for (Stream stream = 0; stream < streams_.size(); ++stream) {
    const std::vector<Operation> &issued = streams_[stream].issued;
    const size_t known = known_of(latest_, stream);
    if (known < issued.size())
      first = std::min(first, issued[known]);
  }
  return first;
}

} // namespace quern::ptx::memory

#include "runtime/text/BytePairEncoder.h"

#include <algorithm>
#include <queue>

namespace quern::text {
namespace {

// Up to here a scan for the lowest rank after each merge beats a heap: words of a text are short.
constexpr size_t kShort = 24;
constexpr uint32_t kNoRank = UINT32_MAX;

uint64_t pair_key(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

} // namespace

BytePairEncoder::BytePairEncoder(const TokenizerSpec &spec) {
  products_.reserve(spec.merges.size());
  for (size_t i = 0; i < spec.merges.size(); ++i) {
    const Merge &merge = spec.merges[i];
    const uint32_t rank = spec.merge_ranks.empty() ? static_cast<uint32_t>(i) : spec.merge_ranks[i];
    products_.try_emplace(pair_key(merge.left, merge.right), Product{rank, merge.result});
  }
}

const BytePairEncoder::Product *BytePairEncoder::find(int32_t left, int32_t right) const {
  const auto it = products_.find(pair_key(left, right));
  return it == products_.end() ? nullptr : &it->second;
}

void BytePairEncoder::encode(std::span<const int32_t> symbols, std::vector<int32_t> &out) const {
  if (symbols.size() <= kShort)
    encode_short(symbols, out);
  else
    encode_long(symbols, out);
}

void BytePairEncoder::encode_short(std::span<const int32_t> symbols,
                                   std::vector<int32_t> &out) const {
  int32_t ids[kShort];
  Product next[kShort]; // of symbol i with symbol i + 1
  size_t n = symbols.size();
  std::copy(symbols.begin(), symbols.end(), ids);
  const auto look_up = [&](size_t i) {
    const Product *product = i + 1 < n ? find(ids[i], ids[i + 1]) : nullptr;
    next[i] = product ? *product : Product{kNoRank, 0};
  };
  for (size_t i = 0; i < n; ++i)
    look_up(i);
  while (n > 1) {
    const Product *best = std::min_element(
        next, next + n - 1, [](const Product &a, const Product &b) { return a.rank < b.rank; });
    if (best->rank == kNoRank)
      break;
    const auto i = static_cast<size_t>(best - next);
    ids[i] = best->id;
    std::copy(ids + i + 2, ids + n, ids + i + 1);
    std::copy(next + i + 2, next + n, next + i + 1);
    --n;
    look_up(i);
    if (i > 0)
      look_up(i - 1);
  }
  out.insert(out.end(), ids, ids + n);
}

void BytePairEncoder::encode_long(std::span<const int32_t> symbols,
                                  std::vector<int32_t> &out) const {
  struct Symbol {
    int32_t id;
    int64_t prev, next; ///< -1: none
    bool gone;
  };
  struct Candidate {
    uint32_t rank;
    int32_t id; ///< what the pair becomes
    int64_t left, right;
    int32_t left_id, right_id; ///< as they were; if they have changed, this is out of date
    bool operator<(const Candidate &other) const { // the queue's top is the greatest
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  const auto n = static_cast<int64_t>(symbols.size());
  std::vector<Symbol> list(symbols.size());
  for (int64_t i = 0; i < n; ++i)
    list[static_cast<size_t>(i)] = {symbols[static_cast<size_t>(i)], i - 1, i + 1 < n ? i + 1 : -1,
                                    false};
  const auto at = [&](int64_t i) -> Symbol & { return list[static_cast<size_t>(i)]; };

  std::vector<Candidate> first;
  const auto candidate = [&](int64_t left, auto &&push) {
    const int64_t right = left < 0 ? -1 : at(left).next;
    if (right < 0)
      return;
    if (const Product *product = find(at(left).id, at(right).id))
      push(Candidate{product->rank, product->id, left, right, at(left).id, at(right).id});
  };
  for (int64_t i = 0; i < n; ++i)
    candidate(i, [&](Candidate c) { first.push_back(c); });
  std::priority_queue<Candidate> queue(std::less<Candidate>(), std::move(first));
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    Symbol &left = at(top.left);
    Symbol &right = at(top.right);
    if (left.gone || right.gone || left.next != top.right || left.id != top.left_id ||
        right.id != top.right_id)
      continue;
    left.id = top.id;
    left.next = right.next;
    right.gone = true;
    if (right.next >= 0)
      at(right.next).prev = top.left;
    const auto push = [&](Candidate c) { queue.push(c); };
    candidate(left.prev, push);
    candidate(top.left, push);
  }
  for (int64_t i = 0; i >= 0; i = at(i).next)
    out.push_back(at(i).id);
}

} // namespace quern::text

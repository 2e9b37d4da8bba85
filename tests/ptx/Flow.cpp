#include "tests/ptx/Flow.h"

#include <algorithm>

namespace quern::ptx {
namespace {

struct Graph {
  std::vector<u32> begin;             ///< of each block; one more: the end
  std::vector<u32> block_of;          ///< of each instruction
  std::vector<std::vector<u32>> next; ///< blocks; `blocks` is the exit
  std::vector<std::vector<u32>> previous;
  u32 blocks = 0;
};

Graph graph_of(const std::vector<Step> &steps) {
  const u32 count = static_cast<u32>(steps.size());
  std::vector<bool> leads(count + 1, false);
  if (count != 0)
    leads[0] = true;
  for (u32 i = 0; i < count; ++i) {
    for (u32 target : steps[i].targets)
      leads[std::min(target, count)] = true;
    if (!steps[i].targets.empty() || !steps[i].next)
      leads[i + 1] = true;
  }
  Graph made;
  made.block_of.resize(count + 1);
  for (u32 i = 0; i < count; ++i) {
    if (leads[i])
      made.begin.push_back(i);
    made.block_of[i] = static_cast<u32>(made.begin.size() - 1);
  }
  made.blocks = static_cast<u32>(made.begin.size());
  made.block_of[count] = made.blocks;
  made.begin.push_back(count);
  made.next.resize(made.blocks + 1);
  made.previous.resize(made.blocks + 1);
  for (u32 b = 0; b < made.blocks; ++b) {
    const u32 last = made.begin[b + 1] - 1;
    auto &next = made.next[b];
    for (u32 target : steps[last].targets)
      next.push_back(made.block_of[std::min(target, count)]);
    if (steps[last].next)
      next.push_back(made.block_of[last + 1]);
    if (next.empty())
      next.push_back(made.blocks);
    std::sort(next.begin(), next.end());
    next.erase(std::unique(next.begin(), next.end()), next.end());
    for (u32 n : next)
      made.previous[n].push_back(b);
  }
  return made;
}

} // namespace

// Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm, on the reversed graph.
std::vector<u32> post_dominators(const std::vector<Step> &steps) {
  const Graph graph = graph_of(steps);
  const u32 exit = graph.blocks;
  // Numbers in post-order from the exit, over edges backwards.
  std::vector<u32> order, number(exit + 1, ~0u);
  std::vector<std::pair<u32, size_t>> stack{{exit, 0}};
  std::vector<bool> seen(exit + 1, false);
  seen[exit] = true;
  while (!stack.empty()) {
    auto &[block, at] = stack.back();
    if (at < graph.previous[block].size()) {
      const u32 from = graph.previous[block][at++];
      if (!seen[from]) {
        seen[from] = true;
        stack.push_back({from, 0});
      }
    } else {
      number[block] = static_cast<u32>(order.size());
      order.push_back(block);
      stack.pop_back();
    }
  }
  std::vector<u32> parent(exit + 1, ~0u);
  parent[exit] = exit;
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t n = order.size(); n-- > 0;) {
      const u32 block = order[n];
      if (block == exit)
        continue;
      u32 best = ~0u;
      for (u32 next : graph.next[block]) {
        if (number[next] == ~0u || parent[next] == ~0u)
          continue;
        if (best == ~0u) {
          best = next;
          continue;
        }
        u32 other = next;
        while (best != other) {
          while (number[best] < number[other])
            best = parent[best];
          while (number[other] < number[best])
            other = parent[other];
        }
      }
      if (best != parent[block]) {
        parent[block] = best;
        changed = true;
      }
    }
  }
  // What never comes to the end (an endless loop) meets nowhere.
  std::vector<u32> result(steps.size(), static_cast<u32>(steps.size()));
  for (u32 i = 0; i < steps.size(); ++i) {
    const u32 block = graph.block_of[i];
    if (i + 1 < graph.begin[block + 1])
      result[i] = i + 1;
    else if (parent[block] != ~0u)
      result[i] = graph.begin[parent[block]];
  }
  return result;
}

std::vector<Interval> lives(const std::vector<Step> &steps, const std::vector<Touch> &touches,
                            u32 registers) {
  const Graph graph = graph_of(steps);
  const size_t words = (registers + 63) / 64;
  using Set = std::vector<u64>;
  std::vector<Set> needs(graph.blocks + 1, Set(words)), gives(graph.blocks + 1, Set(words)),
      in(graph.blocks + 1, Set(words)), out(graph.blocks + 1, Set(words));
  const auto test = [](const Set &set, u32 n) { return (set[n / 64] >> (n % 64) & 1) != 0; };
  const auto put = [](Set &set, u32 n) { set[n / 64] |= u64{1} << (n % 64); };
  std::vector<Interval> made(registers);
  const auto widen = [&](u32 reg, u32 at) {
    made[reg].first = std::min(made[reg].first, at);
    made[reg].last = std::max(made[reg].last, at);
  };
  for (size_t t = 0; t < touches.size();) {
    // Reads of an instruction come before its writes.
    size_t end = t;
    while (end < touches.size() && touches[end].instr == touches[t].instr)
      ++end;
    const u32 block = graph.block_of[touches[t].instr];
    for (size_t u = t; u < end; ++u)
      if (touches[u].read && !test(gives[block], touches[u].reg))
        put(needs[block], touches[u].reg);
    for (size_t u = t; u < end; ++u) {
      if (touches[u].write)
        put(gives[block], touches[u].reg);
      widen(touches[u].reg, touches[u].instr);
    }
    t = end;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (u32 b = graph.blocks; b-- > 0;) {
      for (u32 next : graph.next[b])
        for (size_t w = 0; w < words; ++w)
          out[b][w] |= in[next][w];
      for (size_t w = 0; w < words; ++w) {
        const u64 bits = needs[b][w] | (out[b][w] & ~gives[b][w]);
        changed |= bits != in[b][w];
        in[b][w] = bits;
      }
    }
  }
  for (u32 b = 0; b < graph.blocks; ++b) {
    for (size_t w = 0; w < words; ++w) {
      for (u64 bits = in[b][w]; bits != 0; bits &= bits - 1)
        widen(static_cast<u32>(w * 64) + static_cast<u32>(__builtin_ctzll(bits)), graph.begin[b]);
      for (u64 bits = out[b][w]; bits != 0; bits &= bits - 1)
        widen(static_cast<u32>(w * 64) + static_cast<u32>(__builtin_ctzll(bits)),
              graph.begin[b + 1] - 1);
    }
  }
  return made;
}

} // namespace quern::ptx

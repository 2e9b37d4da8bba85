// The end of a function's decoding: branches find their targets, registers their places in the
// frame.
#include "tests/ptx/Decode.h"
#include "tests/ptx/Words.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace quern::ptx {
namespace {

// Ten times what the largest generated kernels have.
constexpr u32 kMostFrameBytes = 4 << 20;

} // namespace

void Decoder::finish() {
  for (size_t i = 0; i < steps_.size(); ++i) {
    Instr &instr = function_.code[i];
    for (u32 &target : steps_[i].targets)
      target = first_instr_[target];
    if (!steps_[i].targets.empty()) {
      instr.target = steps_[i].targets[0];
      if (steps_[i].targets.size() > 1)
        instr.aux = &function_.tables.emplace_back(steps_[i].targets);
      if (instr.guard != kAllOnes)
        steps_[i].next = true;
    } else if (instr.guard != kAllOnes) {
      steps_[i].next = true;
    }
  }
  const std::vector<u32> meets = post_dominators(steps_);
  for (size_t i = 0; i < steps_.size(); ++i)
    function_.code[i].reconvergence = meets[i];
  allocate();
}

// A linear scan over lives, first come first served; places of one size go back to a heap of that
// size.
void Decoder::allocate() {
  const std::vector<Interval> live = lives(steps_, touches_, static_cast<u32>(virtuals_.size()));
  std::vector<u32> order;
  for (u32 n = 0; n < virtuals_.size(); ++n)
    if (live[n].used())
      order.push_back(n);
  std::sort(order.begin(), order.end(), [&](u32 a, u32 b) {
    return std::pair(live[a].first, a) < std::pair(live[b].first, b);
  });
  std::map<int, std::vector<u32>> vacant; // by width
  std::set<std::pair<u32, u32>> active;   // last, register
  std::vector<u32> place(virtuals_.size(), 0);
  u32 top = static_cast<u32>(function_.constants.size());
  const auto grow = [&](u32 bytes) {
    const u32 at = top;
    top += bytes;
    if (top > kMostFrameBytes)
      refuse(concat(function_.name, " needs more than ", kMostFrameBytes,
                    " bytes of registers a warp"));
    return at;
  };
  u32 words = 0, most_words = 0;
  const auto words_of = [&](u32 reg) {
    return virtuals_[reg].bytes == 256 ? 2u : virtuals_[reg].bytes == 64 ? 0u : 1u;
  };
  for (u32 reg : order) {
    while (!active.empty() && active.begin()->first < live[reg].first) {
      const u32 gone = active.begin()->second;
      vacant[virtuals_[gone].width].push_back(place[gone]);
      words -= words_of(gone);
      active.erase(active.begin());
    }
    auto &places = vacant[virtuals_[reg].width];
    if (virtuals_[reg].shared && !places.empty()) {
      place[reg] = places.back();
      places.pop_back();
    } else {
      place[reg] = grow(virtuals_[reg].bytes);
    }
    if (virtuals_[reg].shared) {
      active.insert({live[reg].last, reg});
      words += words_of(reg);
      most_words = std::max(most_words, words);
    }
  }
  for (const Touch &made : touches_) {
    Instr &instr = function_.code[made.instr];
    if (made.slot < std::size(instr.o))
      instr.o[made.slot] = place[made.reg];
    else if (made.slot == kGuardSlot)
      instr.guard = place[made.reg];
  }
  for (Call &made : function_.calls)
    for (auto *list : {&made.arguments, &made.results})
      for (Call::Passed &one : *list)
        one.offset = place[one.offset];
  if (!syntax_.entry) {
    const auto formals = [&](const std::vector<u32> &variables, std::vector<Formal> &into) {
      for (u32 variable : variables) {
        const auto at = areas_.find(variable);
        const u32 offset = at != areas_.end() ? place[at->second] : top;
        const u32 bytes = static_cast<u32>(syntax_.variables[variable].bytes);
        if (at == areas_.end() || !live[at->second].used()) {
          into.push_back({syntax_.variables[variable].name,
                          grow(static_cast<u32>(align_to(u64{bytes} * kLanes, 64))), bytes});
        } else {
          into.push_back({syntax_.variables[variable].name, offset, bytes});
        }
      }
    };
    formals(syntax_.parameters, function_.parameters);
    formals(syntax_.returns, function_.results);
  }
  function_.frame_bytes = static_cast<u32>(align_to(top, 64));
  function_.registers = most_words;
}

} // namespace quern::ptx

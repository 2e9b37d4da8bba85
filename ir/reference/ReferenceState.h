// What sequences carry between steps, by slot, as the interpreter keeps it.
#ifndef QUERN_IR_REFERENCE_REFERENCESTATE_H
#define QUERN_IR_REFERENCE_REFERENCESTATE_H

#include <absl/status/status.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace quern::reference {

/// State of all slots. Numbers are doubles whatever the interpreter computes in: they hold its
/// floats exactly. Slots come to be when they are first used, empty and at position 0, and know
/// nothing of one another. A copy is a snapshot.
class ReferenceState {
public:
  /// Tokens the slot has seen: the position of its next one.
  int64_t tokens(int64_t slot) const;

  /// Makes the slot a new sequence again.
  void reset(int64_t slot) { slots_.erase(slot); }

  /// Makes slot `to` a copy of `from`; the two go separate ways from here.
  void fork(int64_t from, int64_t to);

  /// Forgets the tokens from position `tokens` on. Fails if the slot has fewer, or keeps recurrent
  /// or window state, which cannot go back.
  absl::Status truncate(int64_t slot, int64_t tokens);

  /// For evals: what `name` keeps for each position, `width` numbers each, in a vector which is
  /// given room for at least `positions` of them.
  std::vector<double> &growing(int64_t slot, const std::string &name, int64_t width,
                               int64_t positions);

  /// For evals: the `size` numbers of fixed-size state `name`, zeros at first.
  std::vector<double> &fixed(int64_t slot, const std::string &name, int64_t size);

  /// Records that the slot has seen `tokens` tokens now.
  void advance(int64_t slot, int64_t tokens) { slots_[slot].tokens = tokens; }

  /// Numbers that a state was given and its format ends before, in any slot.
  struct Saturation {
    int64_t count = 0;
    double largest = 0; ///< magnitude
  };
  /// By the states' names; those that held all they were given are not there.
  const std::map<std::string, Saturation> &saturations() const { return saturations_; }
  /// For evals: `name` was given a number of that magnitude.
  void note_saturated(const std::string &name, double magnitude) {
    Saturation &saturation = saturations_[name];
    ++saturation.count;
    saturation.largest = std::max(saturation.largest, magnitude);
  }

  /// What a key or a value head of a state was given, and what of that its format rounded away;
  /// sums of squares over all positions. Numbers beyond the format are in neither.
  struct Rounding {
    double given = 0, lost = 0;
  };
  /// By the states' names: the key heads', then the value heads'.
  const std::map<std::string, std::vector<Rounding>> &roundings() const { return roundings_; }
  /// For evals: what to add to for a head of `name`, which has `heads` of both kinds.
  Rounding &rounding(const std::string &name, int64_t head, int64_t heads) {
    std::vector<Rounding> &of_heads = roundings_[name];
    of_heads.resize(static_cast<size_t>(heads));
    return of_heads[static_cast<size_t>(head)];
  }

  /// Numbers inside an op that are finite here, where they are doubles, and beyond float32 in
  /// generated code: what follows from them cannot be compared.
  struct Overflow {
    std::string op;            ///< the first
    int64_t first = INT64_MAX; ///< token of the batch that any op had them at
  };
  const Overflow &overflow() const { return overflow_; }
  /// For evals: the op that `describe` gives had such a number at a token.
  template <class Describe> void note_overflow(Describe describe, int64_t token) {
    if (overflow_.op.empty())
      overflow_.op = describe();
    overflow_.first = std::min(overflow_.first, token);
  }

private:
  struct Slot {
    int64_t tokens = 0;
    std::map<std::string, std::vector<double>> growing, fixed;
  };
  std::map<int64_t, Slot> slots_;
  std::map<std::string, Saturation> saturations_;
  std::map<std::string, std::vector<Rounding>> roundings_;
  Overflow overflow_;
};

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_REFERENCESTATE_H

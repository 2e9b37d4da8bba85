// Boxes that lie on others of a higher score, left out.
//
// Boxes are gone through by their scores, 64 at a time: which of 64 stay is one number of as many
// bits, computed from those in front of it. What is below the score that is asked for costs
// nothing.
#include "frontends/onnx/lowering/NodeLowering.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern::onnx {
namespace {

constexpr int64_t kBits = 64;
/// Each 64 are a step of their own.
constexpr int64_t kMostBoxes = 4096;

struct Boxes {
  Array all; ///< [batch, boxes, 4]
  bool centred = false;

  /// The low and the high side along an axis, 0 or 1.
  std::pair<Scalar, Scalar> sides(Writer &w, const Scalar &batch, const Scalar &box,
                                  int64_t axis) const {
    const auto number_at = [&](int64_t i) {
      return Arrays::element(w, all, {batch, box, index(w, i)});
    };
    const Scalar a = number_at(axis), b = number_at(axis + 2);
    if (centred)
      return {a - b * 0.5, a + b * 0.5};
    return {min(a, b), max(a, b)};
  }

  /// Whether two share more of what they cover than `most`.
  Scalar overlap(Writer &w, const Scalar &batch, const Scalar &a, const Scalar &b,
                 const Scalar &most) const {
    Scalar shared = number(w, all.type, 1), first = shared, second = shared;
    for (int64_t axis = 0; axis < 2; ++axis) {
      const auto [a_low, a_high] = sides(w, batch, a, axis);
      const auto [b_low, b_high] = sides(w, batch, b, axis);
      shared = shared * max(min(a_high, b_high) - max(a_low, b_low), 0.0);
      first = first * (a_high - a_low);
      second = second * (b_high - b_low);
    }
    const Scalar either = first + second - shared;
    const Scalar some =
        greater(first, 0.0) & greater(second, 0.0) & greater(shared, 0.0) & greater(either, 0.0);
    return some & less(most, shared / select(some, either, number_like(either, 1)));
  }
};

void non_max_suppression(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Boxes boxes = {.all = node.in(0), .centred = node.integer("center_point_box", 0) != 0};
  const Array scores = node.in(1);
  const auto fixed = scores.shape[2].constant();
  if (!fixed || *fixed > kMostBoxes)
    return node.refuse(absl::StrCat("its boxes are not a fixed number of up to ", kMostBoxes),
                       "give them a fixed number when exporting, or leave suppression to the "
                       "program around the model");
  const int64_t n = *fixed, blocks = std::max<int64_t>(1, (n + kBits - 1) / kBits);
  a.demand(boxes.all.shape[2], 4);
  const Dim batch = scores.shape[0], classes = scores.shape[1];
  const auto input = [&](size_t i) {
    return node.has(i) ? std::optional(node.in(i)) : std::nullopt;
  };
  const auto most_input = input(2), overlap_input = input(3), score_input = input(4);
  const auto counts = [&](Writer &w, const Scalar &score) {
    const Scalar number_it_is = !is_nan(score);
    return score_input ? number_it_is & less(Arrays::only(w, *score_input), score) : number_it_is;
  };
  // How many have the score that is asked for, and where each of them is by it.
  const Array many = a.sum(
      a.map({scores}, ElementType::Int64,
            [&](const Scalars &e) { return cast(counts(*e[0].w, e[0]), ElementType::Int64); }),
      {2}, false);
  const Array ranks =
      a.generate(ElementType::Int64, scores.shape, [&](Writer &w, const Scalars &at) {
        const Scalar own = Arrays::element(w, scores, at);
        const Scalar none = integer(w, ElementType::Int64, n);
        return if_else(
            counts(w, own),
            [&] {
              const Scalar front =
                  loop(w, index(w, 0), index(w, n), {index(w, 0)},
                       [&](const Scalar &k, const Scalars &now) {
                         const Scalar other = Arrays::element(*k.w, scores, {at[0], at[1], k});
                         const Scalar leads =
                             less(own, other) | (equal(own, other) & less(k, at[2]));
                         return Scalars{select(leads, now[0] + 1.0, now[0])};
                       })[0];
              return Scalars{from_index(front, ElementType::Int64)};
            },
            [&] { return Scalars{none}; })[0];
      });
  const auto count_of = [&](Writer &w, const Scalars &at) {
    return to_index(Arrays::element(w, many, {at[0], at[1]}));
  };
  const Array order =
      a.generate(ElementType::Int64, scores.shape, [&](Writer &w, const Scalars &at) {
        return if_else(
            less(at[2], count_of(w, at)),
            [&] {
              const Scalar box = loop(w, index(w, 0), index(w, n), {index(w, 0)},
                                      [&](const Scalar &k, const Scalars &now) {
                                        const Scalar rank = to_index(
                                            Arrays::element(*k.w, ranks, {at[0], at[1], k}));
                                        return Scalars{select(equal(rank, at[2]), k, now[0])};
                                      })[0];
              return Scalars{from_index(box, ElementType::Int64)};
            },
            [&] { return Scalars{integer(w, ElementType::Int64, 0)}; })[0];
      });
  const auto box_at = [&](Writer &w, const Scalars &at, const Scalar &rank) {
    return to_index(Arrays::element(w, order, {at[0], at[1], rank}));
  };
  const auto bit = [](const Scalar &word, const Scalar &place) {
    const Scalar shifted = shift_right(word, from_index(place, ElementType::Int64));
    return not_equal(shifted & integer_like(shifted, 1), integer_like(shifted, 0));
  };
  const Shape shape = {batch, classes, blocks};
  Array kept = a.filled(ElementType::Int64, shape, 0);
  for (int64_t block = 0; block < blocks; ++block) {
    const Array before = kept;
    const auto first = static_cast<double>(block * kBits);
    kept = a.generate(ElementType::Int64, shape, [&](Writer &w, const Scalars &at) {
      const Scalar most = overlap_input ? cast(Arrays::only(w, *overlap_input), boxes.all.type)
                                        : number(w, boxes.all.type, 0);
      const auto fresh = [&] {
        const Scalar left = max(count_of(w, at) - first, 0.0);
        return loop(w, index(w, 0), min(left, static_cast<double>(kBits)),
                    {integer(w, ElementType::Int64, 0)}, [&](const Scalar &p, const Scalars &mask) {
                      Writer &outer = *p.w;
                      const Scalar rank = p + first, own = box_at(outer, at, rank);
                      const Scalar covered = loop(
                          outer, index(outer, 0), rank, {number(outer, ElementType::Bool, 0)},
                          [&](const Scalar &q, const Scalars &now) {
                            Writer &inner = *q.w;
                            const Scalar word_at = q / static_cast<double>(kBits);
                            const Scalar word =
                                select(equal(word_at, static_cast<double>(block)), mask[0],
                                       Arrays::element(inner, before, {at[0], at[1], word_at}));
                            const Scalar stays = bit(word, rest(q, index(inner, kBits))) & !now[0];
                            return if_else(
                                stays,
                                [&] {
                                  return Scalars{
                                      boxes.overlap(inner, at[0], own, box_at(inner, at, q), most)};
                                },
                                [&] { return now; });
                          })[0];
                      const Scalar one = integer(outer, ElementType::Int64, 1);
                      const Scalar added =
                          mask[0] | shift_left(one, from_index(p, ElementType::Int64));
                      return Scalars{select(covered, mask[0], added)};
                    });
      };
      return if_else(equal(at[2], static_cast<double>(block)), fresh,
                     [&] { return Scalars{Arrays::element(w, before, at)}; })[0];
    });
  }
  const Array chosen =
      a.generate(ElementType::Bool, scores.shape, [&](Writer &w, const Scalars &at) {
        const auto stays = [&](Writer &inner, const Scalar &rank) {
          const Scalar word =
              Arrays::element(inner, kept, {at[0], at[1], rank / static_cast<double>(kBits)});
          return bit(word, rest(rank, index(inner, kBits)));
        };
        const Scalar no = number(w, ElementType::Bool, 0);
        return if_else(
            less(at[2], count_of(w, at)) & stays(w, at[2]),
            [&] {
              // Only so many of a class.
              if (!most_input)
                return Scalars{no};
              const Scalar front = loop(
                  w, index(w, 0), at[2], {index(w, 0)}, [&](const Scalar &k, const Scalars &now) {
                    return Scalars{select(stays(*k.w, k), now[0] + 1.0, now[0])};
                  })[0];
              return Scalars{less(front, to_index(Arrays::only(w, *most_input)))};
            },
            [&] { return Scalars{no}; })[0];
      });
  const Array places = a.where_true(chosen, node.out_shape()[0]);
  const Scalar class_count = a.size_index(classes);
  node.set(a.generate(ElementType::Int64, node.out_shape(), [&](Writer &w, const Scalars &at) {
    const Scalar place = to_index(Arrays::element(w, places, {at[0]}));
    const Scalar size = index(w, std::max<int64_t>(n, 1));
    const Scalar rank = rest(place, size), line = place / size;
    const Scalar which = rest(line, class_count), image = line / class_count;
    const Scalar box = box_at(w, {image, which}, rank);
    return from_index(select(equal(at[1], 0.0), image, select(equal(at[1], 1.0), which, box)),
                      ElementType::Int64);
  }));
}

constexpr LoweringRow kRows[] = {{"NonMaxSuppression", non_max_suppression, Takes::Reals, 3}};

} // namespace

std::span<const LoweringRow> suppression_lowerings() { return kRows; }

} // namespace quern::onnx

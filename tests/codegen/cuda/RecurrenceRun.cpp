// See RecurrenceRun.h.
#include "tests/codegen/cuda/RecurrenceRun.h"

#include <cmath>

namespace quern::test {
namespace {

/// A kernel with integer weights.
constexpr const char *kIntegers =
    "quern.kernel @e embedding (%t: tensor<?xi32, #quern.dims<\"T\">>, "
    "%w: !quern.weight<16x32, \"int8\">) -> tensor<?x32xf32, #quern.dims<\"T\">> {\n"
    "  %x = quern.embedding %t, %w : (tensor<?xi32, #quern.dims<\"T\">>, "
    "!quern.weight<16x32, \"int8\">) -> tensor<?x32xf32, #quern.dims<\"T\">>\n"
    "  quern.yield %x : tensor<?x32xf32, #quern.dims<\"T\">>\n}";

std::string text(const RecurrenceCase &c, bool integers) {
  std::string parameters, operands, types;
  auto operand = [&](const char *before, const char *name, const std::string &type) {
    absl::StrAppend(&parameters, parameters.empty() ? "" : ", ", "%", name, ": ", type);
    absl::StrAppend(&operands, before, "%", name);
    absl::StrAppend(&types, types.empty() ? "" : ", ", type);
  };
  auto weight = [](const std::string &shape) {
    return absl::StrCat("!quern.weight<", shape, ", \"f32\">");
  };
  operand("", "r", rows(c.reads * c.keys()));
  operand(", ", "k", rows(c.products * c.keys()));
  operand(", ", "v", rows(c.products * c.cols()));
  operand(", ", "d", rows(c.decayCols()));
  if (c.rate)
    operand(" rate ", "w", weight(absl::StrCat(c.heads, "x", c.keyDim, "x", c.valueDim)));
  if (c.delta)
    operand(" delta ", "e", rows(c.products * c.heads));
  if (c.corrected) {
    operand(" correction ", "a", rows(c.keys()));
    operand(", ", "c", rows(c.keys()));
  }
  if (c.bonus)
    operand(" bonus ", "u", weight(absl::StrCat(c.heads, "x", c.keyDim)));
  operand(", ", "b", "!quern.batch");
  operand(", ", "s",
          absl::StrCat("!quern.state<recurrent, ", c.heads, "x", c.keyDim, "x", c.valueDim, ">"));
  const std::string result = rows(c.reads * c.cols());
  return absl::StrCat("quern.kernel @k linear_recurrence (", parameters, ") -> ", result,
                      " {\n  %y = quern.linear_recurrence ", operands, " {groups = ", c.groups,
                      " : i64, decay_kind = #quern<decay_kind ", c.decay, ">} : (", types, ") -> ",
                      result, "\n  %z = quern.unary silu %y : ", result,
                      "\n  quern.yield %z : ", result, "\n}\n", integers ? kIntegers : "");
}

/// Weights, the same in all steps.
std::vector<float> rates(const RecurrenceCase &c) {
  std::vector<float> all = random_floats(70, static_cast<size_t>(c.heads * c.keyDim * c.valueDim));
  for (float &x : all)
    x = -0.5f + 0.4f * x;
  return all;
}
std::vector<float> bonuses(const RecurrenceCase &c) {
  return random_floats(71, static_cast<size_t>(c.heads * c.keyDim));
}

/// The state that a sequence begins with.
std::vector<float> begin(const RecurrenceCase &c, size_t seq) {
  return random_floats(90 + static_cast<uint32_t>(seq),
                       static_cast<size_t>(c.heads * c.keyDim * c.valueDim));
}

/// What the tokens bring.
struct Inputs {
  std::vector<float> r, k, v, decay, a, b, beta;

  Inputs(const RecurrenceCase &c, const std::vector<Sequence> &sequences) {
    auto of = [&](uint32_t seed, int count, float scale = 1, float shift = 0) {
      return rows_of(sequences, seed, static_cast<size_t>(count), scale, shift);
    };
    r = of(1, c.reads * c.keys());
    // What a delta takes away of the state is less than all of it.
    k = of(2, c.products * c.keys(),
           c.delta ? 1.5f / std::sqrt(static_cast<float>(c.keyDim)) : 1.0f);
    v = of(3, c.products * c.cols());
    // So weak that what a chunk begins with is seen behind it; with a rate, it is a step of time.
    decay =
        c.rate || c.strong ? of(4, c.decayCols(), 0.4f, 0.5f) : of(4, c.decayCols(), 0.08f, 0.9f);
    if (c.strong)
      for (float &x : decay)
        x = std::pow(x, 20.0f);
    a = of(5, c.keys(), 0.2f);
    b = of(6, c.keys(), 0.2f);
    beta = of(7, c.products * c.heads, 0.4f, 0.5f);
  }
};

} // namespace

Recurred run(const RecurrenceCase &c, const Steps &steps, uint32_t workers, bool integers) {
  auto kernel = KernelRun::create(text(c, integers), cuda::Form::Many);
  if (!kernel)
    return {};
  kernel->count();
  // Something else lies before the state in a slot.
  constexpr size_t kOffset = 64;
  const auto state = static_cast<size_t>(c.heads * c.keyDim * c.valueDim);
  std::vector<uint64_t> slots;
  for (size_t b = 0; b < steps.front().size(); ++b) {
    slots.push_back(kernel->device.allocate(kOffset + 4 * state));
    kernel->device.write(slots.back() + kOffset, begin(c, b).data(), 4 * state);
  }
  kernel->setFixedStates(slots);
  const auto cols = static_cast<size_t>(c.reads * c.cols());
  Recurred all;
  all.results = feed(steps, cols, [&](const std::vector<Sequence> &sequences) {
    kernel->setSequences(sequences);
    const Inputs in(c, sequences);
    auto put = [&](const std::vector<float> &values) { return kernel->device.put(values); };
    std::vector<uint64_t> operands = {put(in.r), put(in.k), put(in.v), put(in.decay)};
    if (c.rate)
      operands.push_back(put(rates(c)));
    if (c.delta)
      operands.push_back(put(in.beta));
    if (c.corrected) {
      operands.push_back(put(in.a));
      operands.push_back(put(in.b));
    }
    if (c.bonus)
      operands.push_back(put(bonuses(c)));
    const auto count = static_cast<size_t>(kernel->numTokens()) * cols;
    const uint64_t result = kernel->device.allocate(4 * count);
    operands.insert(operands.end(), {0, kOffset, result});
    kernel->launch(workers, operands);
    return kernel->device.get<float>(result, count);
  });
  for (const uint64_t slot : slots)
    all.states.push_back(kernel->device.get<float>(slot + kOffset, state));
  return all;
}

Recurred loops(const RecurrenceCase &c, const std::vector<int> &lengths) {
  std::vector<Sequence> sequences;
  for (const int length : lengths)
    sequences.push_back({0, length});
  const Inputs in(c, sequences);
  const auto rate = rates(c), bonus = bonuses(c);
  const std::string kind = c.decay;
  const int decayHeads = c.decayHeads ? c.decayHeads : c.heads;
  Recurred all;
  int token = 0;
  for (size_t seq = 0; seq < lengths.size(); ++seq) {
    const auto start = begin(c, seq);
    std::vector<double> s(start.begin(), start.end());
    std::vector<float> &results =
        all.results.emplace_back(static_cast<size_t>(lengths[seq] * c.reads * c.cols()));
    for (int t = 0; t < lengths[seq]; ++t, ++token)
      for (int h = 0; h < c.heads; ++h)
        for (int j = 0; j < c.valueDim; ++j) {
          auto at = [&](int i) -> double & {
            return s[static_cast<size_t>((h * c.keyDim + i) * c.valueDim + j)];
          };
          // Key i of block `block` of `blocks`.
          auto key = [&](const std::vector<float> &of, int i, int block = 0, int blocks = 1) {
            const int group = h / (c.heads / c.groups);
            return static_cast<double>(of[static_cast<size_t>(
                token * blocks * c.keys() + block * c.keys() + group * c.keyDim + i)]);
          };
          double u = 0, read = 0;
          for (int i = 0; i < c.keyDim; ++i) {
            if (c.corrected)
              u += key(in.a, i) * at(i);
            if (c.bonus)
              read += (at(i) +
                       static_cast<double>(bonus[static_cast<size_t>(h * c.keyDim + i)]) *
                           key(in.k, i) *
                           static_cast<double>(
                               in.v[static_cast<size_t>(token * c.cols() + h * c.valueDim + j)])) *
                      key(in.r, i);
          }
          for (int i = 0; i < c.keyDim; ++i) {
            const int column = kind == "head"    ? 0
                               : kind == "key"   ? i
                               : kind == "value" ? j
                                                 : i * c.valueDim + j;
            double decay = static_cast<double>(in.decay[static_cast<size_t>(
                token * c.decayCols() + h / (c.heads / decayHeads) * c.perHead() + column)]);
            if (c.rate)
              decay = std::exp(decay *
                               static_cast<double>(
                                   rate[static_cast<size_t>((h * c.keyDim + i) * c.valueDim + j)]));
            at(i) *= decay;
            if (c.corrected)
              at(i) += key(in.b, i) * u;
          }
          for (int p = 0; p < c.products; ++p) {
            double value = static_cast<double>(in.v[static_cast<size_t>(
                (token * c.products + p) * c.cols() + h * c.valueDim + j)]);
            if (c.delta) {
              double known = 0;
              for (int i = 0; i < c.keyDim; ++i)
                known += key(in.k, i, p, c.products) * at(i);
              value = static_cast<double>(
                          in.beta[static_cast<size_t>((token * c.products + p) * c.heads + h)]) *
                      (value - known);
            }
            for (int i = 0; i < c.keyDim; ++i)
              at(i) += key(in.k, i, p, c.products) * value;
          }
          for (int q = 0; q < c.reads; ++q) {
            double out = read;
            for (int i = 0; i < c.keyDim && !c.bonus; ++i)
              out += at(i) * key(in.r, i, q, c.reads);
            results[static_cast<size_t>((t * c.reads + q) * c.cols() + h * c.valueDim + j)] =
                static_cast<float>(out / (1 + std::exp(-out)));
          }
        }
    all.states.emplace_back(s.begin(), s.end());
  }
  return all;
}

} // namespace quern::test

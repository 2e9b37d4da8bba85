// RNN, GRU and LSTM over sequences of a fixed length, step by step.
#include "frontends/onnx/lowering/NodeLowering.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace quern::onnx {
namespace {

/// Longer sequences would make too long a program.
constexpr int64_t kMostSteps = 128;

using Activation = Scalar (*)(const Scalar &);

Scalar relu(const Scalar &x) { return max(x, 0.0); }

Activation find_activation(const std::string &name) {
  if (name == "Sigmoid")
    return sigmoid;
  if (name == "Tanh")
    return tanh;
  if (name == "Relu")
    return relu;
  return nullptr;
}

/// One direction of a layer, with what all its steps share.
struct Layer {
  Layer(Arrays &arrays, ElementType type, const Dim &hidden)
      : a(arrays), type(type), hidden(hidden) {}

  Arrays &a;
  ElementType type;
  Dim hidden;
  Array inputs;                      ///< W x + Wb of all steps, [steps, batch, gates * hidden]
  Array recurrent;                   ///< [hidden, gates * hidden]
  std::optional<Array> bias, peep;   ///< Rb and P, [n * hidden]
  std::vector<Activation> functions; ///< f, g, h
  double clip = 0;
  bool input_forget = false, linear_before_reset = false;
  Array h, c; ///< [batch, hidden]

  Array gate(const Array &all, int64_t which) const {
    return a.part(all, all.rank() - 1, Dim(which) * hidden, hidden);
  }
  Array activated(const Array &x, size_t function) const {
    return a.map({x}, type, [&](const Scalars &e) {
      return functions[function](clip > 0 ? max(min(e[0], clip), -clip) : e[0]);
    });
  }
  Array plus(const Array &x, const std::optional<Array> &y) const { return y ? a.add(x, *y) : x; }
  /// x + P * cell, where there are peepholes.
  Array peeped(const Array &x, int64_t which, const Array &cell) const {
    return peep ? a.add(x, a.mul(gate(*peep, which), cell)) : x;
  }

  void rnn(const Array &x) { h = activated(plus(a.add(x, a.matmul(h, recurrent)), bias), 0); }

  void lstm(const Array &x) {
    const Array all = plus(a.add(x, a.matmul(h, recurrent)), bias);
    const Array in = activated(peeped(gate(all, 0), 0, c), 0);
    const Array forget = input_forget
                             ? a.map({in}, type, [](const Scalars &e) { return 1.0 - e[0]; })
                             : activated(peeped(gate(all, 2), 2, c), 0);
    const Array fresh = activated(gate(all, 3), 1);
    c = a.add(a.mul(forget, c), a.mul(in, fresh));
    const Array out = activated(peeped(gate(all, 1), 1, c), 0);
    h = a.mul(out, a.map({c}, type, [&](const Scalars &e) { return functions[2](e[0]); }));
  }

  void gru(const Array &x) {
    const Array all = plus(a.matmul(h, recurrent), bias);
    const Array update = activated(a.add(gate(x, 0), gate(all, 0)), 0);
    const Array reset = activated(a.add(gate(x, 1), gate(all, 1)), 0);
    Array fresh;
    if (linear_before_reset) {
      fresh = a.mul(reset, gate(all, 2));
    } else {
      fresh = a.matmul(a.mul(reset, h), a.part(recurrent, 1, hidden * 2, hidden));
      if (bias)
        fresh = a.add(fresh, gate(*bias, 2));
    }
    fresh = activated(a.add(gate(x, 2), fresh), 1);
    h = a.map({update, fresh, h}, type,
              [](const Scalars &e) { return (1.0 - e[0]) * e[1] + e[0] * e[2]; });
  }
};

/// The functions of direction `d`: given, or the op's own.
std::optional<std::vector<Activation>> functions_of(NodeLowering &node, size_t d) {
  std::vector<std::string> names = node.op() == "RNN" ? std::vector<std::string>{"Tanh"}
                                   : node.op() == "GRU"
                                       ? std::vector<std::string>{"Sigmoid", "Tanh"}
                                       : std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"};
  const size_t count = names.size();
  if (const Attribute *given = node.node().find("activations");
      given != nullptr && given->kind == AttributeKind::Strings)
    for (size_t i = 0; i < count && d * count + i < given->strings.size(); ++i)
      names[i] = given->strings[d * count + i];
  std::vector<Activation> functions;
  for (const std::string &name : names) {
    functions.push_back(find_activation(name));
    if (functions.back() == nullptr) {
      node.refuse(absl::StrCat("its activation '", name, "' is none of Sigmoid, Tanh and Relu"));
      return std::nullopt;
    }
  }
  return functions;
}

void recurrent(NodeLowering &node) {
  Arrays &a = node.arrays();
  const bool batch_first = node.integer("layout", 0) != 0;
  const Array x = batch_first ? a.transpose(node.in(0), {1, 0, 2}) : node.in(0);
  const Array weights = node.in(1), recurrents = node.in(2);
  const auto steps = x.shape[0].constant();
  if (!steps || *steps > kMostSteps)
    return node.refuse(absl::StrCat("its sequence is not of a fixed length of up to ", kMostSteps),
                       "give the sequence a fixed length when exporting");
  const std::string direction = node.string("direction", "forward");
  const size_t directions = direction == "bidirectional" ? 2 : 1;
  const int64_t gates = node.op() == "RNN" ? 1 : node.op() == "GRU" ? 3 : 4;
  const Dim hidden = recurrents.shape[2], batch = x.shape[1];
  const Shape state = {batch, hidden};
  a.demand(weights.shape[0], static_cast<int64_t>(directions));
  a.demand(weights.shape[1], hidden * Dim(gates));
  const auto of_direction = [&](const Array &all, size_t d, const Shape &shape) {
    return a.reshape(a.part(all, 0, static_cast<int64_t>(d), 1), shape);
  };
  const auto initial = [&](size_t input, size_t d) {
    if (!node.has(input))
      return a.filled(x.type, state, 0);
    const Array all = node.in(input);
    return of_direction(batch_first ? a.transpose(all, {1, 0, 2}) : all, d, state);
  };
  std::vector<Array> outputs, last_h, last_c;
  for (size_t d = 0; d < directions; ++d) {
    const auto functions = functions_of(node, d);
    if (!functions)
      return;
    Layer layer(a, x.type, hidden);
    layer.functions = *functions;
    layer.clip = node.number("clip", 0);
    layer.input_forget = node.integer("input_forget", 0) != 0;
    layer.linear_before_reset = node.integer("linear_before_reset", 0) != 0;
    const Dim width = hidden * Dim(gates);
    const Array w = a.transpose(of_direction(weights, d, {width, x.shape[2]}), {1, 0});
    layer.recurrent = a.transpose(of_direction(recurrents, d, {width, hidden}), {1, 0});
    layer.inputs = a.matmul(x, w);
    if (node.has(3)) {
      const Array both = of_direction(node.in(3), d, {width * 2});
      layer.inputs = a.add(layer.inputs, a.part(both, 0, 0, width));
      layer.bias = a.part(both, 0, width, width);
    }
    if (node.has(7))
      layer.peep = of_direction(node.in(7), d, {hidden * 3});
    layer.h = initial(5, d);
    if (gates == 4)
      layer.c = initial(6, d);
    const bool backwards = direction == "reverse" || d == 1;
    std::vector<Array> rows(static_cast<size_t>(*steps));
    for (int64_t i = 0; i < *steps; ++i) {
      const int64_t t = backwards ? *steps - 1 - i : i;
      const Array h = layer.h, c = layer.c;
      const Array step = a.reshape(a.part(layer.inputs, 0, t, 1), {batch, width});
      gates == 1 ? layer.rnn(step) : gates == 3 ? layer.gru(step) : layer.lstm(step);
      Array y = layer.h;
      if (node.has(4)) {
        // Behind its end a sequence keeps its state, and its results are 0.
        const Array lengths = a.reshape(node.in(4), {batch, 1});
        const auto held = [&](const Array &now, const Array &before) {
          return a.map({lengths, now, before}, x.type, state, [&](const Scalars &e) {
            return select(greater(e[0], static_cast<double>(t)), e[1], e[2]);
          });
        };
        y = held(layer.h, a.filled(x.type, state, 0));
        layer.h = held(layer.h, h);
        if (gates == 4)
          layer.c = held(layer.c, c);
      }
      rows[static_cast<size_t>(t)] = a.reshape(y, {1, 1, batch, hidden});
    }
    outputs.push_back(a.concat(rows, 0, {*steps, 1, batch, hidden}));
    last_h.push_back(a.unsqueeze(layer.h, 0));
    if (gates == 4)
      last_c.push_back(a.unsqueeze(layer.c, 0));
  }
  const auto count = static_cast<int64_t>(directions);
  const Array y = a.concat(outputs, 1, {*steps, count, batch, hidden});
  node.set(0, batch_first ? a.transpose(y, {2, 0, 1, 3}) : y);
  const auto set_last = [&](size_t output, const std::vector<Array> &states) {
    if (!node.wants(output) || states.empty())
      return;
    const Array all = a.concat(states, 0, {count, batch, hidden});
    node.set(output, batch_first ? a.transpose(all, {1, 0, 2}) : all);
  };
  set_last(1, last_h);
  set_last(2, last_c);
}

constexpr LoweringRow kRows[] = {
    {"RNN", recurrent, Takes::Reals, 3},
    {"GRU", recurrent, Takes::Reals, 3},
    {"LSTM", recurrent, Takes::Reals, 3},
};

} // namespace

std::span<const LoweringRow> recurrence_lowerings() { return kRows; }

} // namespace quern::onnx

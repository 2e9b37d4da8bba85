// Every form of linear_recurrence against its chunked form, in which a chunk of tokens is a few
// products of matrices and one triangular system: written here after the WY representation (Bischof
// and Van Loan, 1987; Yang et al., 2024), from sums of logarithms of decays. Only their differences
// are exponentiated, which are not above 0: quotients of decays would overflow.
#include "tests/ir/reference/TestModule.h"

#include <cmath>

namespace quern::reference {
namespace {

using Vector = std::vector<double>;

/// A token of one column of a head's state: S_i = exp(log_decay_i) S_i + b_i (a S) + k_i v, where v
/// becomes beta (v - k (decay S)) with a beta.
struct Token {
  Vector log_decay, k, r, a, b; ///< a and b empty without a correction
  double v = 0;
  double beta = 0;
  bool delta = false;
};

/// What r reads after each token, and of the state before it, `chunk` tokens at a time.
struct Reads {
  Vector after, before;
};
Reads chunked(const std::vector<Token> &tokens, size_t chunk) {
  Reads reads;
  const size_t keys = tokens.front().k.size();
  Vector state(keys, 0.0);
  for (size_t first = 0; first < tokens.size(); first += chunk) {
    const size_t n = std::min(chunk, tokens.size() - first);
    // logs[t]: of what the chunk's tokens up to and with t - 1 leave of the state at its beginning.
    std::vector<Vector> logs(n + 1, Vector(keys, 0.0));
    for (size_t t = 0; t < n; ++t)
      for (size_t i = 0; i < keys; ++i)
        logs[t + 1][i] = logs[t][i] + tokens[first + t].log_decay[i];
    // x after the decays from token s + 1 up to `until`, times y.
    auto between = [&](const Vector &x, const Vector &y, size_t until, size_t s) {
      double sum = 0;
      for (size_t i = 0; i < keys; ++i)
        sum += x[i] * y[i] * std::exp(logs[until][i] - logs[s + 1][i]);
      return sum;
    };
    auto carried = [&](const Vector &x, size_t until) {
      double sum = 0;
      for (size_t i = 0; i < keys; ++i)
        sum += x[i] * state[i] * std::exp(logs[until][i]);
      return sum;
    };
    // The triangular system: u_t goes in along k_t, w_t along b_t.
    Vector u(n, 0.0), w(n, 0.0);
    auto read = [&](const Vector &x, size_t until, size_t count) {
      double sum = carried(x, until);
      for (size_t s = 0; s < count; ++s) {
        const Token &earlier = tokens[first + s];
        sum += between(x, earlier.k, until, s) * u[s];
        if (!earlier.b.empty())
          sum += between(x, earlier.b, until, s) * w[s];
      }
      return sum;
    };
    for (size_t t = 0; t < n; ++t) {
      const Token &token = tokens[first + t];
      u[t] = token.delta ? token.beta * (token.v - read(token.k, t + 1, t)) : token.v;
      if (!token.a.empty())
        w[t] = read(token.a, t, t);
    }
    for (size_t t = 0; t < n; ++t) {
      reads.after.push_back(read(tokens[first + t].r, t + 1, t + 1));
      reads.before.push_back(read(tokens[first + t].r, t, t));
    }
    Vector next(keys, 0.0);
    for (size_t i = 0; i < keys; ++i) {
      next[i] = state[i] * std::exp(logs[n][i]);
      for (size_t s = 0; s < n; ++s) {
        const Token &token = tokens[first + s];
        const double left = std::exp(logs[n][i] - logs[s + 1][i]);
        next[i] += left * token.k[i] * u[s];
        if (!token.b.empty())
          next[i] += left * token.b[i] * w[s];
      }
    }
    state = next;
  }
  return reads;
}

struct Form {
  const char *name;
  const char *kind;
  int64_t groups = 1;
  int64_t products = 1, reads = 1;
  bool rate = false, delta = false, correction = false, bonus = false;
  int64_t decay_heads = 4, correction_heads = 4;
  double strength = 1; ///< of decays: 40 has some of 1e-17
};

class RecurrenceForms : public ::testing::TestWithParam<Form> {
protected:
  static constexpr int64_t kHeads = 4, kKeys = 5, kValues = 3;

  /// Where each operand lies in a row of x.
  struct Layout {
    int64_t r = 0, k, v, decay, beta, a, b, cols;
  };
  Layout layout() const {
    const Form &f = GetParam();
    Layout at;
    at.k = f.reads * f.groups * kKeys;
    at.v = at.k + f.products * f.groups * kKeys;
    at.decay = at.v + f.products * kHeads * kValues;
    at.beta = at.decay + f.decay_heads * per_head();
    at.a = at.beta + f.products * kHeads;
    at.b = at.a + f.correction_heads * kKeys;
    at.cols = at.b + f.correction_heads * kKeys;
    return at;
  }
  int64_t per_head() const {
    const std::string kind = GetParam().kind;
    return kind == "head" ? 1 : kind == "key" ? kKeys : kind == "value" ? kValues : kKeys * kValues;
  }
  int64_t outputs() const { return GetParam().reads * kHeads * kValues; }

  std::string text() const {
    const Form &f = GetParam();
    const Layout at = layout();
    std::vector<int64_t> widths;
    auto type = [&](int64_t cols) {
      widths.push_back(cols);
      return "!T" + std::to_string(cols);
    };
    std::string body = "%s = quern.state_ref @s : !quern.state<recurrent, 4x5x3>\n", types;
    auto slice = [&](const std::string &name, int64_t offset, int64_t cols) {
      body += "%" + name + " = quern.slice %x {offset = " + std::to_string(offset) +
              " : i64} : " + type(at.cols) + " -> " + type(cols) + "\n";
    };
    slice("r", at.r, at.k);
    slice("k", at.k, at.v - at.k);
    slice("v", at.v, at.decay - at.v);
    slice("d0", at.decay, at.beta - at.decay);
    slice("b0", at.beta, at.a - at.beta);
    slice("a0", at.a, at.b - at.a);
    slice("c0", at.b, at.cols - at.b);
    const std::string decays = type(at.beta - at.decay), betas = type(at.a - at.beta),
                      corrections = type(at.b - at.a);
    body += "%d1 = quern.scale %d0 {factor = " + std::to_string(f.strength) +
            " : f32} : " + decays + "\n%d = quern.unary " + (f.rate ? "softplus" : "sigmoid") +
            " %d1 : " + decays + "\n%beta = quern.unary sigmoid %b0 : " + betas +
            "\n%a = quern.scale %a0 {factor = 0.25 : f32} : " + corrections +
            "\n%c = quern.scale %c0 {factor = 0.25 : f32} : " + corrections +
            "\n%rate = quern.weight_ref @rate : !quern.weight<4x5x3, \"f32\">" +
            "\n%bonus = quern.weight_ref @bonus : !quern.weight<4x5, \"f32\">" +
            "\n%y = quern.linear_recurrence %r, %k, %v, %d";
    types = type(at.k) + ", " + type(at.v - at.k) + ", " + type(at.decay - at.v) + ", " + decays;
    if (f.rate) {
      body += " rate %rate";
      types += ", !quern.weight<4x5x3, \"f32\">";
    }
    if (f.delta) {
      body += " delta %beta";
      types += ", " + betas;
    }
    if (f.correction) {
      body += " correction %a, %c";
      types += ", " + corrections + ", " + corrections;
    }
    if (f.bonus) {
      body += " bonus %bonus";
      types += ", !quern.weight<4x5, \"f32\">";
    }
    body += ", %batch, %s {groups = " + std::to_string(f.groups) +
            " : i64, decay_kind = #quern<decay_kind " + f.kind + ">} : (" + types +
            ", !quern.batch, !quern.state<recurrent, 4x5x3>) -> " + type(outputs());
    return step_text(at.cols, outputs(),
                     weight_text("rate", "4x5x3", 0.5, -1) + weight_text("bonus", "4x5") +
                         "quern.declare_state @s : !quern.state<recurrent, 4x5x3>\n",
                     body, widths);
  }

  Matrix expected(const Matrix &x, size_t chunk) const {
    const Form &f = GetParam();
    const Layout at = layout();
    const Matrix rate = synthetic("rate", 1, 60, 0.5, -1), bonus = synthetic("bonus", 1, 20);
    const std::string kind = f.kind;
    Matrix y(x.rows, outputs());
    auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
    for (int64_t h = 0; h < kHeads; ++h)
      for (int64_t j = 0; j < kValues; ++j)
        for (int64_t q = 0; q < f.reads; ++q) {
          std::vector<Token> tokens;
          for (int64_t t = 0; t < x.rows; ++t)
            // Products after the first are tokens of their own, of which nothing decays.
            for (int64_t p = 0; p < f.products; ++p) {
              Token token;
              token.v = x.at(t, at.v + (p * kHeads + h) * kValues + j);
              token.delta = f.delta;
              token.beta = sigmoid(x.at(t, at.beta + p * kHeads + h));
              for (int64_t i = 0; i < kKeys; ++i) {
                auto shared = [&](int64_t base, int64_t block, int64_t heads, int64_t cols,
                                  int64_t col) {
                  return x.at(t, base + (block * heads + h / (kHeads / heads)) * cols + col);
                };
                token.r.push_back(shared(at.r, q, f.groups, kKeys, i));
                token.k.push_back(shared(at.k, p, f.groups, kKeys, i));
                if (f.correction && p == 0) {
                  token.a.push_back(0.25 * shared(at.a, 0, f.correction_heads, kKeys, i));
                  token.b.push_back(0.25 * shared(at.b, 0, f.correction_heads, kKeys, i));
                }
                const int64_t col = kind == "head"    ? 0
                                    : kind == "key"   ? i
                                    : kind == "value" ? j
                                                      : i * kValues + j;
                const double d = f.strength * shared(at.decay, 0, f.decay_heads, per_head(), col);
                const double log =
                    f.rate ? std::log1p(std::exp(d)) * rate.at(0, (h * kKeys + i) * kValues + j)
                           : -std::log1p(std::exp(-d));
                token.log_decay.push_back(p == 0 ? log : 0.0);
              }
              tokens.push_back(token);
            }
          const Reads reads = chunked(tokens, chunk);
          for (int64_t t = 0; t < x.rows; ++t) {
            const auto last = static_cast<size_t>((t + 1) * f.products - 1);
            double out = reads.after[last];
            if (f.bonus) {
              out = reads.before[last];
              for (int64_t i = 0; i < kKeys; ++i)
                out += tokens[last].r[static_cast<size_t>(i)] * bonus.at(0, h * kKeys + i) *
                       tokens[last].k[static_cast<size_t>(i)] * tokens[last].v;
            }
            y.at(t, (q * kHeads + h) * kValues + j) = out;
          }
        }
    return y;
  }

  static std::vector<int32_t> tokens() {
    std::vector<int32_t> all;
    for (int32_t t = 0; t < 29; ++t)
      all.push_back(t * 7 % 16);
    return all;
  }
};

// Tests that the op, a token at a time, is what its chunked form computes.
TEST_P(RecurrenceForms, EqualTheirChunkedForm) {
  const Matrix x = lookup(tokens(), layout().cols);
  TestModule module(text());
  ReferenceState state;
  const auto output = module.interpreter()->step({{{0, 0, tokens()}}, {}}, state);
  ASSERT_TRUE(output.ok()) << output.status();
  for (const size_t chunk : {1, 8, 64}) {
    const Matrix want = expected(x, chunk);
    for (int64_t t = 0; t < x.rows; ++t)
      for (int64_t c = 0; c < outputs(); ++c)
        ASSERT_NEAR(output->at(t, c), want.at(t, c), 1e-9 * (1 + std::abs(want.at(t, c))))
            << "token " << t << ", column " << c << ", chunks of " << chunk;
  }
}

// Tests that its state is all that a sequence needs, beside others in ragged steps.
TEST_P(RecurrenceForms, CarryTheirState) {
  const auto all = tokens();
  TestModule module(text());
  auto interpreter = module.interpreter();
  ReferenceState alone, state;
  const auto whole = interpreter->step({{{0, 0, all}}, {}}, alone);
  ASSERT_TRUE(whole.ok()) << whole.status();
  int64_t at = 0, steps = 0;
  for (const int64_t count : {1, 3, 17, 8}) {
    const std::vector<int32_t> part(all.begin() + at, all.begin() + at + count);
    const auto output = interpreter->step({{{8, steps, {9}}, {0, at, part}}, {}}, state);
    ASSERT_TRUE(output.ok()) << output.status();
    for (int64_t t = 0; t < count; ++t)
      for (int64_t c = 0; c < outputs(); ++c)
        ASSERT_EQ(output->at(t + 1, c), whole->at(at + t, c)) << "token " << at + t;
    at += count;
    ++steps;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ops, RecurrenceForms,
    ::testing::Values(
        Form{.name = "plain", .kind = "head"},
        Form{.name = "decay_of_groups", .kind = "head", .groups = 2, .decay_heads = 2},
        Form{.name = "by_key", .kind = "key", .groups = 2, .strength = 40},
        Form{.name = "by_value_of_groups", .kind = "value", .groups = 2, .decay_heads = 2},
        Form{.name = "by_element", .kind = "elementwise", .groups = 4},
        Form{.name = "mamba", .kind = "value", .rate = true},
        Form{.name = "delta", .kind = "head", .groups = 2, .delta = true},
        Form{.name = "delta_by_key", .kind = "key", .groups = 4, .delta = true, .strength = 40},
        Form{.name = "delta_rate", .kind = "value", .rate = true, .delta = true},
        Form{.name = "delta_products",
             .kind = "key",
             .groups = 2,
             .products = 2,
             .reads = 2,
             .delta = true},
        Form{.name = "correction", .kind = "key", .groups = 2, .correction = true},
        Form{.name = "correction_of_groups",
             .kind = "head",
             .groups = 2,
             .products = 2,
             .correction = true,
             .correction_heads = 2},
        Form{.name = "bonus", .kind = "key", .groups = 4, .bonus = true},
        Form{.name = "products", .kind = "head", .groups = 2, .products = 3, .reads = 2}),
    [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace quern::reference

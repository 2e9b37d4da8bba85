// The IR of RWKV-4's blocks (Recipe.h).
#include "frontends/recipe/Writer.h"

using namespace mlir;

namespace quern::recipe {

/// x * mix + before * (1 - mix).
Value Writer::mixed(Value x, Value before, const std::string &mix) {
  Value change = binary(BinaryKind::sub, x, before);
  return binary(BinaryKind::add, binary(BinaryKind::mul, change, weight(mix)), before);
}

Value Writer::shifted(const std::string &module, Value x) {
  at(module);
  Value window = state(module + ".shift", StateKind::window, {colsOf(x.getType()), 1});
  return TokenShiftOp::create(b_, loc_, x.getType(), x, batch_, window);
}

Value Writer::operator()(const Rwkv4 &m) {
  Value before = shifted(m.module, x_);
  auto of = [&](const Linear &l, const char *name) {
    at(m.module);
    return linear(l, mixed(x_, before, m.module + ".time_mix_" + name));
  };
  Value k = of(m.key, "key"), v = of(m.value, "value"), r = of(m.receptance, "receptance");
  at(m.module);
  // Sums of exp(k) v and of exp(k), as multiples of the exponential of a running maximum: it is
  // less than any key before a sequence begins.
  Value decay = map("neg_exp", weight(m.module + ".time_decay"));
  Value none = scale(starts(), 1e38);
  Value memory = state(m.module + ".wkv", StateKind::recurrent, {3, 1, m.width});
  llvm::SmallVector<Value> inputs = {k, v, none, decay, weight(m.module + ".time_first")};
  auto scan = ScanOp::create(b_, loc_, k.getType(), inputs, batch_, memory);
  {
    OpBuilder::InsertionGuard guard(b_);
    mlir::Block &body = scan.getBody().emplaceBlock();
    b_.setInsertionPointToStart(&body);
    auto argument = [&](Type type) { return Value(body.addArgument(type, loc_)); };
    Value sums = argument(k.getType()), total = argument(k.getType()),
          largest = argument(k.getType());
    Value key = argument(k.getType()), value = argument(v.getType());
    Value first = argument(none.getType()), rate = argument(decay.getType()),
          bonus = argument(inputs.back().getType());
    auto exponential = [&](Value x, Value most) {
      return unary(UnaryKind::exp, binary(BinaryKind::sub, x, most));
    };
    auto mul = [&](Value x, Value y) { return binary(BinaryKind::mul, x, y); };
    auto add = [&](Value x, Value y) { return binary(BinaryKind::add, x, y); };
    Value past = binary(BinaryKind::sub, largest, first, m.width);
    Value own = add(key, bonus);
    Value most = binary(BinaryKind::max, past, own);
    Value a = exponential(past, most), b = exponential(own, most);
    Value y = binary(BinaryKind::div, add(mul(a, sums), mul(b, value)), add(mul(a, total), b));
    Value decayed = add(past, rate);
    most = binary(BinaryKind::max, decayed, key);
    a = exponential(decayed, most);
    b = exponential(key, most);
    YieldOp::create(b_, loc_,
                    ValueRange{add(mul(a, sums), mul(b, value)), add(mul(a, total), b), most, y});
  }
  return linear(m.output, gated("sigmoid", r, scan.getResult(0)));
}

Value Writer::operator()(const Rwkv4Mlp &m) {
  Value before = shifted(m.module, x_);
  Value key = linear(m.key, mixed(x_, before, m.module + ".time_mix_key"));
  at(m.module);
  Value r = linear(m.receptance, mixed(x_, before, m.module + ".time_mix_receptance"));
  Value y = linear(m.value, unary(UnaryKind::relu2, key));
  return gated("sigmoid", r, y);
}

} // namespace quern::recipe

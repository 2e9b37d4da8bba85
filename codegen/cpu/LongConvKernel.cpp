// Kernels whose anchor is a long convolution: a few complex states a channel, token after token.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/RowValues.h"
#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {

/// Channels a block: what is theirs stays in the first cache over the step's tokens, and a loop
/// over them is a few vectors long.
constexpr int64_t kBlock = 64;

/// Rows of numbers of a block's channels: in their place, `stride` apart, or copied together.
struct ChannelRows {
  Pointer<float> first;
  int64_t stride;

  Value load(Code &code, Value row, Value c) const {
    return code.loadF(first, code.add(code.mul(row, stride), c));
  }
  void store(Code &code, Value value, Value row, Value c) const {
    code.storeF(value, first, code.add(code.mul(row, stride), c));
  }
};

/// Whether a block's part of the rows is computed by itself: no value that neighbours share is cut.
bool partsAreWhole(KernelOp op, int64_t channels) {
  return channels % kBlock == 0 &&
         llvm::all_of(op.getBody().front().getOps<BinaryOp>(),
                      [](auto b) { return kBlock % static_cast<int64_t>(b.getRepeat()) == 0; });
}

} // namespace

LogicalResult Kernel::generateLongConv() {
  auto conv = cast<LongConvOp>(anchor);
  const int64_t channels = colsOf(conv.getInput().getType()), rows = 2 * conv.modes();
  const int64_t share = conv.channelsThatShare(), filters = channels / share;
  const bool parts = partsAreWhole(op, channels);
  // Rows as far apart as a model is wide would evict each other from the first cache. What one
  // token alone needs of them is not worth a copy.
  const bool copies = !single || share != 1;
  auto copied = [&](bool copy) {
    return copy ? ChannelRows{code.scratch<float>(rows * kBlock), kBlock} : ChannelRows{};
  };
  const ChannelRows ownState = copied(!single), ownPoles = copied(copies),
                    ownResidues = copied(copies);
  auto in = code.scratch<float>(kBlock), out = code.scratch<float>(kBlock);
  auto [from, to] = code.share(code.c((channels + kBlock - 1) / kBlock), worker, workers);

  auto block = [&](Value channel, Value width) {
    auto each = [&](std::function<void(Value)> body) { code.loop(code.c(0), width, body); };
    auto move = [&](const ChannelRows &source, const ChannelRows &target, bool spread) {
      code.loop(rows, [&](Value row) {
        each([&](Value c) {
          Value at = spread ? code.div(code.add(channel, c), share) : c;
          target.store(code, source.load(code, row, at), row, c);
        });
      });
    };
    auto weights = [&](mlir::Value weight, const ChannelRows &own) {
      Pointer<float> all(static_cast<Value>(pointer(weight)));
      const ChannelRows there{share == 1 ? code.at(all, channel) : all, filters};
      if (!copies)
        return there;
      move(there, own, share != 1);
      return own;
    };
    const ChannelRows poles = weights(conv.getPoles(), ownPoles);
    const ChannelRows residues = weights(conv.getResidues(), ownResidues);
    code.loop(code.c(0), count("B"), [&](Value seq) {
      Value first = index(offsetof(QuernStepArgs, cu_seqlens), seq);
      Value end = single ? code.c(1) : index(offsetof(QuernStepArgs, cu_seqlens), code.add(seq, 1));
      const ChannelRows kept{
          Pointer<float>(code.atBytes(fixedState(conv.getState(), seq), code.mul(channel, 4))),
          channels};
      const ChannelRows state = single ? kept : ownState;
      if (!single)
        move(kept, state, false);
      code.loop(first, end, [&](Value token) {
        RowValues values(*this, token);
        RowValues::Element input = parts ? values.reader(conv.getInput(), channel, kBlock)
                                         : values.reader(conv.getInput(), code.c(0), channels);
        each([&](Value c) {
          code.storeF(input(code.add(channel, c), 0), in, c);
          code.storeF(code.cf(0), out, c);
        });
        code.loop(conv.modes(), [&](Value mode) {
          Value real = code.mul(mode, 2), imaginary = code.add(real, 1);
          each([&](Value c) {
            Value x = code.loadF(in, c), y = code.loadF(out, c);
            Value a = poles.load(code, real, c), b = poles.load(code, imaginary, c);
            Value s = state.load(code, real, c), t = state.load(code, imaginary, c);
            auto minus = [&](Value v) -> Value { return arith::NegFOp::create(code.b, v); };
            Value u = code.fma(a, s, code.fma(minus(b), t, x));
            Value v = code.fma(a, t, code.fmul(b, s));
            state.store(code, u, real, c);
            state.store(code, v, imaginary, c);
            y = code.fma(residues.load(code, real, c), u, y);
            code.storeF(code.fma(minus(residues.load(code, imaginary, c)), v, y), out, c);
          });
        });
        RowValues finished(*this, token);
        finished.bind(conv.getResult(), [&](Value col, int64_t shift) {
          Value at = code.add(col, shift), c = code.sub(at, channel);
          Value y = code.loadF(out, c);
          return conv.getSkip()
                     ? code.fma(code.loadF(pointer(conv.getSkip()), at), code.loadF(in, c), y)
                     : y;
        });
        for (auto [i, value] : llvm::enumerate(yield.getValues())) {
          mlir::Value yielded = value;
          auto target = code.at(result(i), code.mul(token, channels));
          each([&](Value c) {
            Value col = code.add(channel, c);
            code.storeF(finished.element(yielded, col), target, col);
          });
        }
      });
      if (!single)
        move(state, kept, false);
    });
  };

  code.loop(from, to, [&](Value number) {
    Value channel = code.mul(number, kBlock);
    block(channel, code.min(code.c(kBlock), code.sub(code.c(channels), channel)));
  });
  return success();
}

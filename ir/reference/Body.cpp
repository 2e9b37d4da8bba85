#include "ir/reference/Body.h"

#include "ir/reference/Describe.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <set>

namespace quern::reference {
namespace {

void copy(const Lanes &from, Lanes &to, size_t count) {
  if (from.floats.empty())
    std::copy_n(from.ints.begin(), count, to.ints.begin());
  else
    std::copy_n(from.floats.begin(), count, to.floats.begin());
}
template <class T>
void gather(const std::vector<T> &from, std::span<const uint32_t> points, std::vector<T> &to) {
  if (!from.empty())
    for (size_t i = 0; i < points.size(); ++i)
      to[i] = from[points[i]];
}
void gather(const Lanes &from, std::span<const uint32_t> points, Lanes &to) {
  gather(from.floats, points, to.floats);
  gather(from.ints, points, to.ints);
}
template <class T>
void scatter(const std::vector<T> &from, std::span<const uint32_t> points, std::vector<T> &to) {
  if (!from.empty())
    for (size_t i = 0; i < points.size(); ++i)
      to[points[i]] = from[i];
}
void scatter(const Lanes &from, std::span<const uint32_t> points, Lanes &to) {
  scatter(from.floats, points, to.floats);
  scatter(from.ints, points, to.ints);
}

Lanes room(mlir::Type type) {
  Lanes lanes;
  if (mlir::isa<mlir::FloatType>(type))
    lanes.floats.resize(Body::kBlock);
  else
    lanes.ints.resize(Body::kBlock);
  return lanes;
}

/// The ops of the block that `values` are made with.
llvm::DenseSet<mlir::Operation *> needed_for(mlir::Block &block,
                                             llvm::ArrayRef<mlir::Value> values) {
  llvm::DenseSet<mlir::Operation *> needed;
  llvm::SmallVector<mlir::Value> open(values);
  while (!open.empty()) {
    mlir::Operation *op = open.pop_back_val().getDefiningOp();
    if (!op || op->getBlock() != &block || !needed.insert(op).second)
      continue;
    op->walk([&](mlir::Operation *inner) { llvm::append_range(open, inner->getOperands()); });
  }
  return needed;
}

} // namespace

bool in_bodies(llvm::StringRef op) {
  return lane_table().contains(op) || op == mlir::arith::ConstantOp::getOperationName() ||
         op == mlir::linalg::IndexOp::getOperationName() ||
         op == mlir::linalg::YieldOp::getOperationName() ||
         op == mlir::tensor::YieldOp::getOperationName() ||
         op == mlir::tensor::ExtractOp::getOperationName() ||
         op == mlir::scf::IfOp::getOperationName() || op == mlir::scf::ForOp::getOperationName() ||
         op == mlir::scf::YieldOp::getOperationName();
}

absl::StatusOr<std::unique_ptr<Body>> Body::create(mlir::Block &block,
                                                   llvm::ArrayRef<mlir::Value> values,
                                                   Outside outside, Options options) {
  std::unique_ptr<Body> body(new Body(options));
  if (options.keep_yielded)
    body->kept_.insert(values.begin(), values.end());
  for (mlir::Value argument : block.getArguments()) {
    const absl::StatusOr<size_t> slot = body->make(argument);
    if (!slot.ok())
      return slot.status();
    body->code_.arguments.push_back(*slot);
  }
  const llvm::DenseSet<mlir::Operation *> needed = needed_for(block, values);
  for (mlir::Operation &op : block.without_terminator())
    if (needed.contains(&op))
      if (absl::Status status = body->compile(op, outside, body->code_); !status.ok())
        return status;
  for (mlir::Value value : values) {
    const absl::StatusOr<size_t> slot = body->read(value, outside);
    if (!slot.ok())
      return slot.status();
    body->code_.yields.push_back(*slot);
  }
  return body;
}

absl::StatusOr<size_t> Body::make(mlir::Value value, bool varies) {
  mlir::Type type = value.getType();
  if (!type.isIndex() && !mlir::isa<mlir::FloatType>(type) &&
      !(type.isInteger() && type.getIntOrFloatBitWidth() <= 64))
    return absl::UnimplementedError("the interpreter's bodies hold numbers of up to 64 bits");
  slots_.push_back(room(type));
  varies_.push_back(varies);
  used_.push_back(false);
  slot_of_[value] = slots_.size() - 1;
  return slots_.size() - 1;
}

absl::StatusOr<size_t> Body::read(mlir::Value value, Outside outside) {
  if (const auto found = slot_of_.find(value); found != slot_of_.end()) {
    used_[found->second] = true;
    return found->second;
  }
  absl::StatusOr<Tensor> constant = absl::NotFoundError("");
  TensorPtr number;
  if (auto op = value.getDefiningOp<mlir::arith::ConstantOp>()) {
    constant = constant_tensor(op.getValue());
    if (!constant.ok())
      return constant.status();
    number = std::make_shared<const Tensor>(*std::move(constant));
  } else {
    absl::StatusOr<TensorPtr> given = outside(value);
    if (!given.ok())
      return given.status();
    number = *std::move(given);
  }
  const absl::StatusOr<size_t> slot = make(value, /*varies=*/false);
  if (!slot.ok())
    return slot;
  if (number->is_float())
    std::fill(slots_[*slot].floats.begin(), slots_[*slot].floats.end(), number->floats[0]);
  else
    std::fill(slots_[*slot].ints.begin(), slots_[*slot].ints.end(), number->ints[0]);
  return slot;
}

absl::Status Body::compile_region(mlir::Region &region, Outside outside, Code &code) {
  if (region.empty())
    return absl::OkStatus();
  mlir::Block &block = region.front();
  for (mlir::Value argument : block.getArguments()) {
    const absl::StatusOr<size_t> slot = make(argument);
    if (!slot.ok())
      return slot.status();
    code.arguments.push_back(*slot);
  }
  for (mlir::Operation &op : block.without_terminator())
    if (absl::Status status = compile(op, outside, code); !status.ok())
      return status;
  for (mlir::Value value : block.getTerminator()->getOperands()) {
    const absl::StatusOr<size_t> slot = read(value, outside);
    if (!slot.ok())
      return slot.status();
    code.yields.push_back(*slot);
  }
  find_captured(code);
  return absl::OkStatus();
}

void Body::find_captured(Code &code) const {
  std::set<size_t> read(code.yields.begin(), code.yields.end()),
      made(code.arguments.begin(), code.arguments.end());
  for (const Step &step : code.steps) {
    read.insert(step.in.begin(), step.in.end());
    made.insert(step.out.begin(), step.out.end());
    for (const Code &region : step.regions)
      read.insert(region.captured.begin(), region.captured.end());
  }
  for (const size_t slot : read)
    if (varies_[slot] && !made.contains(slot))
      code.captured.push_back(slot);
}

absl::Status Body::compile(mlir::Operation &op, Outside outside, Code &code) {
  if (mlir::isa<mlir::arith::ConstantOp>(op))
    return absl::OkStatus(); // made where it is read
  if (auto index = mlir::dyn_cast<mlir::linalg::IndexOp>(op)) {
    const auto dim = static_cast<unsigned>(index.getDim());
    const auto known = llvm::find_if(counters_, [&](auto &c) { return c.first == dim; });
    if (known != counters_.end()) {
      slot_of_[index.getResult()] = known->second;
      return absl::OkStatus();
    }
    const absl::StatusOr<size_t> slot = make(index.getResult());
    if (slot.ok())
      counters_.emplace_back(dim, *slot);
    return slot.status();
  }
  Step step;
  step.op = &op;
  if (const auto found = lane_table().find(op.getName().getStringRef());
      found != lane_table().end())
    step.function = found->second;
  else if (!mlir::isa<mlir::tensor::ExtractOp, mlir::scf::IfOp, mlir::scf::ForOp>(op))
    return absl::UnimplementedError(
        absl::StrCat(describe(&op), ": the interpreter has no eval for this op in a body"));
  for (mlir::Value operand : op.getOperands()) {
    if (mlir::isa<mlir::TensorType>(operand.getType()) && mlir::isa<mlir::tensor::ExtractOp>(op)) {
      if (auto constant = operand.getDefiningOp<mlir::arith::ConstantOp>()) {
        absl::StatusOr<Tensor> value = constant_tensor(constant.getValue());
        if (!value.ok())
          return value.status();
        step.tensor = std::make_shared<const Tensor>(*std::move(value));
        continue;
      }
      absl::StatusOr<TensorPtr> given = outside(operand);
      if (!given.ok())
        return given.status();
      step.tensor = *std::move(given);
      continue;
    }
    const absl::StatusOr<size_t> slot = read(operand, outside);
    if (!slot.ok())
      return slot.status();
    step.in.push_back(*slot);
  }
  for (mlir::Region &region : op.getRegions())
    if (absl::Status status = compile_region(region, outside, step.regions.emplace_back());
        !status.ok())
      return status;
  if (mlir::isa<mlir::scf::ForOp>(op)) {
    slots_.push_back(room(op.getOperand(0).getType()));
    varies_.push_back(true);
    used_.push_back(true);
    step.counter = slots_.size() - 1;
  }
  for (mlir::Value result : op.getResults()) {
    const absl::StatusOr<size_t> slot = make(result);
    if (!slot.ok())
      return slot.status();
    step.out.push_back(*slot);
    auto type = mlir::dyn_cast<mlir::FloatType>(result.getType());
    const bool rounds = step.function && type && !type.isF64() && !options_.float64;
    step.rounding.push_back(rounds && !kept_.contains(result) ? type : mlir::FloatType());
  }
  code.steps.push_back(std::move(step));
  return absl::OkStatus();
}

absl::Status Body::run(const Code &code, size_t count) {
  llvm::SmallVector<const Lanes *> in;
  llvm::SmallVector<Lanes *> out;
  for (const Step &step : code.steps) {
    absl::Status status;
    if (step.function) {
      in.clear();
      out.clear();
      for (const size_t slot : step.in)
        in.push_back(&slots_[slot]);
      for (const size_t slot : step.out)
        out.push_back(&slots_[slot]);
      status = step.function({step.op, count, in, out});
    } else if (step.tensor) {
      status = extract(step, count);
    } else if (mlir::isa<mlir::scf::IfOp>(step.op)) {
      status = choose(step, count);
    } else {
      status = loop(step, count);
    }
    if (!status.ok())
      return absl::Status(status.code(), absl::StrCat(step.op->getName().getStringRef().str(), ": ",
                                                      std::string(status.message())));
    for (size_t i = 0; i < step.out.size(); ++i)
      if (step.rounding[i])
        round_to(step.rounding[i], {slots_[step.out[i]].floats.data(), count});
  }
  return absl::OkStatus();
}

absl::Status Body::extract(const Step &step, size_t count) {
  const Tensor &tensor = *step.tensor;
  const std::vector<int64_t> strides = row_major(tensor.shape);
  std::vector<int64_t> at(count);
  for (size_t d = 0; d < strides.size(); ++d) {
    const std::vector<int64_t> &index = slots_[step.in[d]].ints;
    for (size_t i = 0; i < count; ++i) {
      if (index[i] < 0 || index[i] >= tensor.shape[d])
        return absl::OutOfRangeError(absl::StrCat("index ", index[i], " in dimension ", d,
                                                  " of a tensor of shape ",
                                                  shape_text(tensor.shape)));
      at[i] += index[i] * strides[d];
    }
  }
  Lanes &y = slots_[step.out[0]];
  for (size_t i = 0; i < count; ++i)
    if (tensor.is_float())
      y.floats[i] = tensor.floats[static_cast<size_t>(at[i])];
    else
      y.ints[i] = tensor.ints[static_cast<size_t>(at[i])];
  return absl::OkStatus();
}

absl::Status Body::run_some(const Code &code, size_t count, std::span<const uint32_t> points,
                            std::span<const size_t> given, std::span<const size_t> results) {
  if (points.empty())
    return absl::OkStatus();
  if (points.size() == count) {
    for (size_t i = 0; i < given.size(); ++i)
      copy(slots_[given[i]], slots_[code.arguments[i]], count);
    if (absl::Status status = run(code, count); !status.ok())
      return status;
    for (size_t i = 0; i < results.size(); ++i)
      copy(slots_[code.yields[i]], slots_[results[i]], count);
    return absl::OkStatus();
  }
  for (size_t i = 0; i < given.size(); ++i)
    gather(slots_[given[i]], points, slots_[code.arguments[i]]);
  std::vector<Lanes> all(code.captured.size());
  for (size_t i = 0; i < all.size(); ++i) {
    Lanes &slot = slots_[code.captured[i]];
    all[i] = slot;
    gather(all[i], points, slot);
  }
  absl::Status status = run(code, points.size());
  if (status.ok())
    for (size_t i = 0; i < results.size(); ++i)
      scatter(slots_[code.yields[i]], points, slots_[results[i]]);
  for (size_t i = 0; i < all.size(); ++i)
    slots_[code.captured[i]] = std::move(all[i]);
  return status;
}

absl::Status Body::choose(const Step &step, size_t count) {
  // Copied: a way may be run on slots that the condition is in.
  std::vector<uint32_t> ways[2];
  for (size_t i = 0; i < count; ++i)
    ways[slots_[step.in[0]].ints[i] ? 0 : 1].push_back(static_cast<uint32_t>(i));
  for (size_t way = 0; way < 2; ++way)
    if (absl::Status status = run_some(step.regions[way], count, ways[way], {}, step.out);
        !status.ok())
      return status;
  return absl::OkStatus();
}

absl::Status Body::loop(const Step &step, size_t count) {
  const bool is_unsigned = mlir::cast<mlir::scf::ForOp>(step.op).getUnsignedCmp();
  const unsigned width = width_of(step.op->getOperand(0).getType());
  copy(slots_[step.in[0]], slots_[step.counter], count);
  for (size_t i = 0; i < step.out.size(); ++i)
    copy(slots_[step.in[3 + i]], slots_[step.out[i]], count);
  for (size_t i = 0; i < count; ++i)
    if (slots_[step.in[2]].ints[i] <= 0)
      return absl::InvalidArgumentError(absl::StrCat("a step of ", slots_[step.in[2]].ints[i]));
  std::vector<size_t> given{step.counter};
  given.insert(given.end(), step.out.begin(), step.out.end());
  std::vector<uint32_t> points;
  while (true) {
    std::vector<int64_t> &counter = slots_[step.counter].ints;
    const std::vector<int64_t> &end = slots_[step.in[1]].ints;
    points.clear();
    for (size_t i = 0; i < count; ++i)
      if (is_unsigned ? as_unsigned(counter[i], width) < as_unsigned(end[i], width)
                      : counter[i] < end[i])
        points.push_back(static_cast<uint32_t>(i));
    if (points.empty())
      return absl::OkStatus();
    if (absl::Status status = run_some(step.regions[0], count, points, given, step.out);
        !status.ok())
      return status;
    for (const uint32_t point : points) {
      // What would pass the type's end is past `end` as well.
      if (__builtin_add_overflow(counter[point], slots_[step.in[2]].ints[point], &counter[point]))
        counter[point] = INT64_MAX;
    }
  }
}

} // namespace quern::reference

#include "ir/reference/Generic.h"

#include "ir/reference/Combiner.h"
#include "ir/reference/Contraction.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace quern::reference {
namespace {

namespace arith = mlir::arith;

template <class T> void copy_strided(const T *from, int64_t step, T *to, int64_t count) {
  if (step == 1)
    std::copy_n(from, count, to);
  else if (step == 0)
    std::fill_n(to, count, *from);
  else
    for (int64_t i = 0; i < count; ++i)
      to[i] = from[i * step];
}

int64_t linear_place(const Access &access, const std::vector<int64_t> &at) {
  int64_t place = access.base();
  for (size_t loop = 0; loop < at.size(); ++loop)
    place += at[loop] * access.strides()[loop];
  return place;
}

template <class T>
void gather(const std::vector<T> &from, const std::vector<int64_t> &places, std::vector<T> &to) {
  for (size_t i = 0; i < places.size(); ++i)
    to[i] = from[static_cast<size_t>(places[i])];
}
template <class T>
void scatter(const std::vector<T> &from, const std::vector<int64_t> &places, std::vector<T> &to) {
  for (size_t i = 0; i < places.size(); ++i)
    to[static_cast<size_t>(places[i])] = from[i];
}

/// Runs of points along the last loop: `use(offset, length)`, `at` being the run's first point.
template <class Use>
absl::Status for_each_run(const Points &points, int64_t first, size_t count,
                          llvm::ArrayRef<int64_t> extents, std::vector<int64_t> &at, Use use) {
  points.go_to(first, at);
  for (size_t done = 0; done < count;) {
    size_t length = 1;
    if (!points.loops().empty()) {
      const unsigned last = points.loops().back();
      length = std::min(count - done, static_cast<size_t>(extents[last] - at[last]));
    }
    if (absl::Status status = use(done, length); !status.ok())
      return status;
    done += length;
    if (!points.loops().empty()) {
      at[points.loops().back()] += static_cast<int64_t>(length) - 1;
      points.advance(at);
    }
  }
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<Generic> Generic::create(mlir::linalg::LinalgOp op, std::vector<TensorPtr> operands,
                                        Options options) {
  Generic generic(op, options);
  const llvm::SmallVector<mlir::AffineMap> maps = op.getIndexingMapsArray();
  absl::StatusOr<std::vector<int64_t>> extents = extents_of(operands, maps);
  if (!extents.ok())
    return extents.status();
  generic.extents_ = *std::move(extents);
  for (auto [loop, type] : llvm::enumerate(op.getIteratorTypesArray())) {
    const bool reduction = type == mlir::utils::IteratorType::reduction;
    generic.reductions_.push_back(reduction);
    (reduction ? generic.reduction_loops_ : generic.parallel_loops_)
        .push_back(static_cast<unsigned>(loop));
  }
  for (size_t i = 0; i < operands.size(); ++i) {
    absl::StatusOr<Access> access = Access::create(operands[i], maps[i], generic.extents_);
    if (!access.ok())
      return absl::Status(
          access.status().code(),
          absl::StrCat("operand ", i, ": ", std::string(access.status().message())));
    generic.accesses_.push_back(*std::move(access));
  }
  for (size_t i = static_cast<size_t>(op.getNumDpsInputs()); i < operands.size(); ++i)
    generic.results_.push_back(*operands[i]);
  if (absl::Status status = generic.check_outputs(); !status.ok())
    return status;
  return generic;
}

absl::Status Generic::check_outputs() const {
  for (size_t i = inputs(); i < accesses_.size(); ++i) {
    const Access &access = accesses_[i];
    for (size_t loop = 0; loop < extents_.size(); ++loop) {
      const bool moves = access.linear() && access.strides()[loop] != 0;
      if (extents_[loop] > 1 && moves == reductions_[loop])
        return absl::InvalidArgumentError(
            absl::StrCat("output ", i - inputs(), reductions_[loop] ? " moves" : " does not move",
                         " with ", reductions_[loop] ? "reduction" : "parallel", " loop ", loop));
    }
  }
  return absl::OkStatus();
}

bool Generic::reads_output(mlir::Value value) {
  llvm::SmallVector<mlir::Value> open{value};
  while (!open.empty()) {
    mlir::Value next = open.pop_back_val();
    if (auto argument = mlir::dyn_cast<mlir::BlockArgument>(next)) {
      if (argument.getOwner() == &block() && argument.getArgNumber() >= inputs())
        return true;
    } else if (next.getParentBlock() == &block()) {
      next.getDefiningOp()->walk(
          [&](mlir::Operation *op) { llvm::append_range(open, op->getOperands()); });
    }
  }
  return false;
}

std::vector<Generic::Combiner> Generic::combiners() {
  std::vector<Combiner> found;
  for (auto [i, value] : llvm::enumerate(block().getTerminator()->getOperands())) {
    mlir::Operation *op = value.getDefiningOp();
    mlir::Value was = block().getArgument(static_cast<unsigned>(inputs() + i));
    if (!op || op->getBlock() != &block() || !combines(op))
      return {};
    const bool left = op->getOperand(0) == was;
    mlir::Value number = op->getOperand(left ? 1 : 0);
    if (op->getOperand(left ? 0 : 1) != was || reads_output(number))
      return {};
    found.push_back({op, number});
  }
  return found;
}

std::optional<Generic::Factor> Generic::factor(mlir::Value value) {
  mlir::Operation *cast = value.getDefiningOp();
  if (cast) {
    if (cast->getBlock() != &block() || cast->getNumOperands() != 1 ||
        !lane_table().contains(cast->getName().getStringRef()))
      return std::nullopt;
    value = cast->getOperand(0);
  }
  auto argument = mlir::dyn_cast<mlir::BlockArgument>(value);
  if (!argument || argument.getOwner() != &block() || argument.getArgNumber() >= inputs() ||
      !accesses_[argument.getArgNumber()].linear())
    return std::nullopt;
  return Factor{argument.getArgNumber(), cast};
}

absl::StatusOr<bool> Generic::run_contraction(const std::vector<Combiner> &combiners) {
  if (combiners.size() != 1 || !mlir::isa<arith::AddFOp, arith::AddIOp>(combiners[0].op))
    return false;
  mlir::Operation *product = combiners[0].number.getDefiningOp();
  if (!product || product->getBlock() != &block() ||
      !mlir::isa<arith::MulFOp, arith::MulIOp>(product))
    return false;
  Tensor &y = results_[0];
  Tensor made[2];
  const Tensor *factors[2];
  const Access *accesses[2];
  for (unsigned i = 0; i < 2; ++i) {
    const std::optional<Factor> found = factor(product->getOperand(i));
    if (!found)
      return false;
    accesses[i] = &accesses_[found->input];
    factors[i] = &accesses[i]->tensor();
    if (!found->cast)
      continue;
    const Tensor &tensor = accesses[i]->tensor();
    const auto count = static_cast<size_t>(tensor.count());
    const Lanes before{tensor.floats, tensor.ints};
    Lanes after = y.is_float() ? Lanes{std::vector<double>(count), {}}
                               : Lanes{{}, std::vector<int64_t>(count)};
    const Lanes *in = &before;
    Lanes *out = &after;
    const LaneFn function = lane_table().lookup(found->cast->getName().getStringRef());
    if (absl::Status status = function({found->cast, count, in, out}); !status.ok())
      return status;
    if (y.is_float() && !options_.float64)
      round_to(mlir::cast<mlir::FloatType>(y.element), after.floats);
    made[i] = {y.element, tensor.shape, std::move(after.floats), std::move(after.ints)};
    factors[i] = &made[i];
  }
  const auto view = [](auto *data, const Access &access) {
    return Strided<std::remove_pointer_t<decltype(data)>>{data, access.base(), access.strides()};
  };
  if (y.is_float()) {
    contract<double>(extents_, reductions_, view(factors[0]->floats.data(), *accesses[0]),
                     view(factors[1]->floats.data(), *accesses[1]),
                     view(y.floats.data(), accesses_.back()), options_.threads);
    return true;
  }
  const auto bits = [](const Tensor &tensor) {
    return reinterpret_cast<const uint64_t *>(tensor.ints.data());
  };
  contract<uint64_t>(extents_, reductions_, view(bits(*factors[0]), *accesses[0]),
                     view(bits(*factors[1]), *accesses[1]),
                     view(reinterpret_cast<uint64_t *>(y.ints.data()), accesses_.back()),
                     options_.threads);
  for (int64_t &number : y.ints)
    number = wrapped(number, width_of(y.element));
  return true;
}

absl::Status Generic::read(Body &body, const Points &points, int64_t first, size_t count,
                           std::vector<int64_t> &at) {
  return for_each_run(points, first, count, extents_, at, [&](size_t from, size_t length) {
    const auto n = static_cast<int64_t>(length);
    for (unsigned i = 0; i < inputs(); ++i) {
      if (!body.uses_argument(i))
        continue;
      const Access &access = accesses_[i];
      const Tensor &tensor = access.tensor();
      Lanes &to = body.argument(i);
      if (access.linear()) {
        const int64_t place = linear_place(access, at);
        const int64_t step = points.loops().empty() ? 0 : access.strides()[points.loops().back()];
        if (tensor.is_float())
          copy_strided(tensor.floats.data() + place, step, to.floats.data() + from, n);
        else
          copy_strided(tensor.ints.data() + place, step, to.ints.data() + from, n);
        continue;
      }
      std::vector<int64_t> here = at;
      for (size_t point = from; point < from + length; ++point) {
        const absl::StatusOr<int64_t> place = access.place(here);
        if (!place.ok())
          return absl::Status(
              place.status().code(),
              absl::StrCat("operand ", i, ": ", std::string(place.status().message())));
        if (tensor.is_float())
          to.floats[point] = tensor.floats[static_cast<size_t>(*place)];
        else
          to.ints[point] = tensor.ints[static_cast<size_t>(*place)];
        if (!points.loops().empty())
          ++here[points.loops().back()];
      }
    }
    for (const auto &[loop, slot] : body.counters()) {
      const bool moves = !points.loops().empty() && loop == points.loops().back();
      for (size_t i = 0; i < length; ++i)
        body.slot(slot).ints[from + i] = at[loop] + (moves ? static_cast<int64_t>(i) : 0);
    }
    return absl::OkStatus();
  });
}

std::vector<std::vector<int64_t>> Generic::output_places(const Points &points, int64_t first,
                                                         size_t count,
                                                         std::vector<int64_t> &at) const {
  std::vector<std::vector<int64_t>> places(results_.size(), std::vector<int64_t>(count));
  (void)for_each_run(points, first, count, extents_, at, [&](size_t from, size_t length) {
    for (size_t k = 0; k < places.size(); ++k) {
      const Access &access = accesses_[inputs() + k];
      const int64_t place = linear_place(access, at);
      const int64_t step = points.loops().empty() ? 0 : access.strides()[points.loops().back()];
      for (size_t i = 0; i < length; ++i)
        places[k][from + i] = place + static_cast<int64_t>(i) * step;
    }
    return absl::OkStatus();
  });
  return places;
}

absl::Status Generic::run_combined(Body::Outside outside, const std::vector<Combiner> &combiners) {
  llvm::SmallVector<mlir::Value> numbers;
  for (const Combiner &combiner : combiners)
    numbers.push_back(combiner.number);
  absl::StatusOr<std::unique_ptr<Body>> body =
      Body::create(block(), numbers, outside, {.float64 = options_.float64});
  if (!body.ok())
    return body.status();
  std::vector<unsigned> loops = parallel_loops_;
  loops.insert(loops.end(), reduction_loops_.begin(), reduction_loops_.end());
  const Points points(loops, extents_);
  std::vector<int64_t> at(extents_.size());
  for (int64_t first = 0; first < points.count(); first += Body::kBlock) {
    const auto count = static_cast<size_t>(std::min<int64_t>(Body::kBlock, points.count() - first));
    if (absl::Status status = read(**body, points, first, count, at); !status.ok())
      return status;
    if (absl::Status status = (*body)->run(count); !status.ok())
      return status;
    const auto places = output_places(points, first, count, at);
    for (size_t k = 0; k < results_.size(); ++k)
      combine(combiners[k].op, results_[k], (*body)->result(static_cast<unsigned>(k)), places[k]);
  }
  return absl::OkStatus();
}

absl::Status Generic::run_stepwise(Body::Outside outside) {
  const llvm::SmallVector<mlir::Value> values(block().getTerminator()->getOperands());
  absl::StatusOr<std::unique_ptr<Body>> body =
      Body::create(block(), values, outside,
                   {.float64 = options_.float64, .keep_yielded = !reduction_loops_.empty()});
  if (!body.ok())
    return body.status();
  const Points points(parallel_loops_, extents_), steps(reduction_loops_, extents_);
  std::vector<int64_t> at(extents_.size());
  std::vector<Lanes> sums(results_.size());
  for (size_t k = 0; k < sums.size(); ++k)
    sums[k] = (*body)->argument(static_cast<unsigned>(inputs() + k));
  for (int64_t first = 0; first < points.count(); first += Body::kBlock) {
    const auto count = static_cast<size_t>(std::min<int64_t>(Body::kBlock, points.count() - first));
    std::fill(at.begin(), at.end(), 0);
    const auto places = output_places(points, first, count, at);
    for (size_t k = 0; k < sums.size(); ++k)
      if (results_[k].is_float())
        gather(results_[k].floats, places[k], sums[k].floats);
      else
        gather(results_[k].ints, places[k], sums[k].ints);
    std::vector<int64_t> step_at(extents_.size());
    for (int64_t step = 0; step < steps.count(); ++step, steps.advance(step_at)) {
      at = step_at;
      if (absl::Status status = read(**body, points, first, count, at); !status.ok())
        return status;
      for (size_t k = 0; k < sums.size(); ++k)
        if (const auto argument = static_cast<unsigned>(inputs() + k);
            (*body)->uses_argument(argument))
          (*body)->argument(argument) = sums[k];
      if (absl::Status status = (*body)->run(count); !status.ok())
        return status;
      for (size_t k = 0; k < sums.size(); ++k)
        sums[k] = (*body)->result(static_cast<unsigned>(k));
    }
    for (size_t k = 0; k < sums.size(); ++k)
      if (results_[k].is_float())
        scatter(sums[k].floats, places[k], results_[k].floats);
      else
        scatter(sums[k].ints, places[k], results_[k].ints);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Tensor>> Generic::run(Body::Outside outside) {
  if (!llvm::is_contained(extents_, 0)) {
    const std::vector<Combiner> all =
        reduction_loops_.empty() ? std::vector<Combiner>() : combiners();
    absl::StatusOr<bool> done = run_contraction(all);
    if (!done.ok())
      return done.status();
    if (!*done)
      if (absl::Status status = all.empty() ? run_stepwise(outside) : run_combined(outside, all);
          !status.ok())
        return status;
  }
  if (!reduction_loops_.empty() && !options_.float64)
    for (Tensor &result : results_)
      if (auto type = mlir::dyn_cast<mlir::FloatType>(result.element))
        round_to(type, result.floats);
  return std::move(results_);
}

} // namespace quern::reference

#include "ir/reference/Probe.h"

#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"
#include "ir/reference/Sizes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <set>

namespace quern::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Ids below this are in every embedding of the module, or, where it says how many tokens it knows,
/// are tokens: tables of positions and of tokens' types may have fewer rows.
int32_t vocabulary(mlir::ModuleOp module) {
  if (auto model = module->getAttrOfType<mlir::DictionaryAttr>(attrs::kModel))
    if (auto known = model.getAs<mlir::IntegerAttr>(attrs::kModelVocab);
        known && known.getInt() > 0)
      return static_cast<int32_t>(std::min<int64_t>(known.getInt(), INT32_MAX));
  int64_t vocab = INT32_MAX;
  module.walk([&](EmbeddingOp op) {
    vocab = std::min(vocab, op.getWeight().getType().getShape().front());
  });
  return static_cast<int32_t>(vocab);
}

std::set<std::string> entries(mlir::ModuleOp module) {
  std::set<std::string> names;
  for (auto function : module.getOps<mlir::func::FuncOp>()) {
    auto entry = function->getAttrOfType<mlir::StringAttr>(attrs::kEntry);
    if (entry || function.isPublic())
      names.insert(entry ? entry.str() : function.getName().str());
  }
  return names;
}

/// Whether sequences lie in a step as a whole: there is no step that goes on with them.
bool takes_whole_sequences(mlir::ModuleOp module) {
  return module.walk([](AttentionRowsOp) { return mlir::WalkResult::interrupt(); })
      .wasInterrupted();
}

bool begins_all(const Batch &batch) {
  return std::ranges::all_of(batch.sequences,
                             [](const Sequence &sequence) { return sequence.start == 0; });
}

/// The scenario as `bucket` runs it with the others' help; nothing if none admits one of its steps.
absl::StatusOr<std::optional<Run>> run(Interpreter &interpreter, const std::string &entry,
                                       const Scenario &scenario, const Bucket &bucket,
                                       const std::vector<Bucket> &others) {
  ReferenceState state;
  Run run{bucket.name, {}};
  for (const Batch &batch : scenario.steps) {
    const absl::StatusOr<PackedBatch> packed = pack(batch);
    if (!packed.ok())
      return packed.status();
    if (std::none_of(others.begin(), others.end(),
                     [&](const Bucket &other) { return other.admits(*packed); }))
      return std::nullopt;
    auto outputs = interpreter.run(entry, batch, state, bucket.admits(*packed) ? bucket.name : "");
    if (!outputs.ok())
      return outputs.status();
    for (Output &output : *outputs)
      run.outputs.push_back(std::move(output));
  }
  return run;
}

/// The results of a call.
absl::StatusOr<Run> run(Interpreter &interpreter, const std::string &entry, const Trial &trial,
                        mlir::ModuleOp module) {
  absl::StatusOr<std::vector<Tensor>> results = interpreter.call(entry, trial.inputs);
  if (!results.ok())
    return results.status();
  Run run;
  auto function = module.lookupSymbol<mlir::func::FuncOp>(entry);
  for (auto [i, result] : llvm::enumerate(*results))
    run.results.emplace_back(function ? result_name(function, static_cast<unsigned>(i))
                                      : absl::StrCat("output ", i),
                             std::move(result));
  return run;
}

/// The standard deviation of what `each` calls back with.
template <class Each> double deviation(Each each) {
  double sum = 0, squares = 0, count = 0;
  each([&](double value) {
    sum += value;
    squares += value * value;
    ++count;
  });
  const double variance = squares / count - sum / count * (sum / count);
  // Outputs that are all the same are compared absolutely.
  return variance > 0 ? std::sqrt(variance) : 1;
}
double deviation(const Run &run) {
  return deviation([&](auto note) {
    for (const Output &output : run.outputs)
      std::for_each(output.values.begin(), output.values.end(), note);
  });
}
/// Of the numbers that are some: a mask's infinities say nothing of the others.
double deviation(const Tensor &tensor) {
  return deviation([&](auto note) {
    for (const double value : tensor.floats)
      if (std::isfinite(value))
        note(value);
  });
}

/// "[1, 0, 2]", the place of an element.
std::string place_text(const Tensor &tensor, int64_t element) {
  std::vector<int64_t> at;
  for (size_t d = tensor.shape.size(); d-- > 0; element /= tensor.shape[d])
    at.insert(at.begin(), element % tensor.shape[d]);
  return shape_text(at);
}

/// How far the numbers of a run moved.
class Moved {
public:
  /// How far `y` is from the `x` that it was, in `unit`s; 0 for what stayed no number.
  double note(double x, double y, double unit) {
    ++count_;
    if (x == y || (std::isnan(x) && std::isnan(y)))
      return 0;
    const double distance =
        std::isfinite(x) && std::isfinite(y) ? std::abs(x - y) / unit : kInfinity;
    squares_ += distance * distance;
    return distance;
  }
  double rms() const { return count_ > 0 ? std::sqrt(squares_ / count_) : 0; }

private:
  double squares_ = 0, count_ = 0;
};

void compare_results(const Run &before, const Run &after, const std::string &where,
                     Difference &worst) {
  const auto differ = [&](double distance, const std::string &detail) {
    if (distance > worst.largest) {
      worst.largest = distance;
      worst.where = absl::StrCat(where, detail);
    }
  };
  const auto lost = [&](const std::string &detail) {
    worst.rms = kInfinity;
    differ(kInfinity, detail);
  };
  if (before.results.size() != after.results.size())
    return lost(": the number of results changed");
  Moved moved;
  for (size_t i = 0; i < before.results.size(); ++i) {
    const auto &[name, was] = before.results[i];
    const Tensor &is = after.results[i].second;
    const auto at = [&](size_t element) {
      return absl::StrCat(", ", name, " at ", place_text(was, static_cast<int64_t>(element)), ": ");
    };
    if (was.shape != is.shape || was.element != is.element)
      return lost(absl::StrCat(", ", name, ": the shape or type of the result changed"));
    for (size_t element = 0; element < was.ints.size(); ++element)
      if (was.ints[element] != is.ints[element])
        return lost(absl::StrCat(at(element), was.ints[element], " became ", is.ints[element]));
    const double unit = deviation(was);
    for (size_t element = 0; element < was.floats.size(); ++element) {
      const double x = was.floats[element], y = is.floats[element];
      const double distance = moved.note(x, y, unit);
      if (distance > worst.largest)
        differ(distance, absl::StrCat(at(element), x, " became ", y));
    }
  }
  worst.rms = std::max(worst.rms, moved.rms());
}

void compare_runs(const Run &before, const Run &after, const std::string &where,
                  Difference &worst) {
  auto worse = [&](double distance, const std::string &detail) {
    if (!std::isfinite(distance))
      worst.rms = distance;
    if (distance > worst.largest) {
      worst.largest = distance;
      worst.where = absl::StrCat(
          where, after.bucket.empty() ? "" : absl::StrCat(", bucket ", after.bucket), detail);
    }
  };
  if (before.outputs.size() != after.outputs.size())
    return worse(kInfinity, ": the number of results changed");
  const double unit = deviation(before);
  Moved moved;
  for (size_t i = 0; i < before.outputs.size(); ++i) {
    const Output &was = before.outputs[i], &is = after.outputs[i];
    if (was.rows != is.rows || was.cols != is.cols)
      return worse(kInfinity, ": the shape of the result changed");
    for (size_t at = 0; at < was.values.size(); ++at) {
      const double x = was.values[at], y = is.values[at];
      const double distance = moved.note(x, y, unit);
      if (distance > worst.largest)
        worse(distance,
              absl::StrCat(", step ", i, ", row ", at / static_cast<size_t>(was.cols), ", column ",
                           at % static_cast<size_t>(was.cols), ": ", x, " became ", y));
    }
  }
  worst.rms = std::max(worst.rms, moved.rms());
}

} // namespace

std::vector<Scenario> scenarios(uint64_t seed, int32_t vocab) {
  std::mt19937_64 random(seed);
  auto sequence = [&](int64_t slot, int64_t start, int64_t length) {
    Sequence sequence{slot, start, {}};
    for (int64_t i = 0; i < length; ++i)
      // Not std::uniform_int_distribution: its numbers differ between libraries.
      sequence.tokens.push_back(static_cast<int32_t>(random() % static_cast<uint64_t>(vocab)));
    return sequence;
  };
  std::vector<Scenario> result;
  result.push_back(
      {"one sequence",
       {{{sequence(0, 0, 1)}, {0}}, {{sequence(0, 1, 1)}, {0}}, {{sequence(0, 2, 1)}, {0}}}});
  result.push_back({"a prompt", {{{sequence(0, 0, 9)}, {3, 8}}, {{sequence(0, 9, 3)}, {0, 1, 2}}}});
  result.push_back({"three sequences",
                    {{{sequence(2, 0, 1), sequence(0, 0, 1), sequence(1, 0, 1)}, {0, 1, 2}},
                     {{sequence(1, 1, 1), sequence(0, 1, 1), sequence(2, 1, 1)}, {0, 2}}}});
  result.push_back({"a ragged batch",
                    {{{sequence(0, 0, 4), sequence(1, 0, 1), sequence(2, 0, 3)}, {3, 4, 7}},
                     {{sequence(2, 3, 2), sequence(3, 0, 5), sequence(0, 4, 1)}, {1, 2, 6, 7}},
                     {{sequence(1, 1, 1), sequence(3, 5, 2)}, {0, 2}}}});
  return result;
}

absl::StatusOr<Probe> probe(mlir::ModuleOp module, uint64_t seed, const Trials &trials,
                            bool exact_formats) {
  absl::StatusOr<std::unique_ptr<Interpreter>> interpreter =
      Interpreter::create(module, {.float64 = true, .exact_formats = exact_formats});
  if (!interpreter.ok())
    return interpreter.status();
  Probe probe;
  std::vector<Scenario> all = scenarios(seed, vocabulary(module));
  if (takes_whole_sequences(module))
    for (Scenario &scenario : all)
      std::erase_if(scenario.steps, [](const Batch &batch) { return !begins_all(batch); });
  for (const std::string &entry : entries(module)) {
    if (const auto calls = trials.find(entry); calls != trials.end()) {
      for (const Trial &trial : calls->second) {
        absl::StatusOr<Run> done = run(**interpreter, entry, trial, module);
        if (!done.ok())
          return absl::Status(done.status().code(),
                              absl::StrCat("entry ", entry, ", ", trial.name, ": ",
                                           std::string(done.status().message())));
        probe[entry][trial.name].push_back(*std::move(done));
      }
      continue;
    }
    const std::vector<Bucket> buckets = (*interpreter)->buckets(entry);
    for (const Scenario &scenario : all)
      for (const Bucket &bucket : buckets) {
        auto done = run(**interpreter, entry, scenario, bucket, buckets);
        if (!done.ok())
          return absl::Status(done.status().code(),
                              absl::StrCat("entry ", entry, ", ", scenario.name, ": ",
                                           std::string(done.status().message())));
        if (*done)
          probe[entry][scenario.name].push_back(std::move(**done));
      }
    if (!probe.contains(entry))
      return absl::InvalidArgumentError(
          absl::StrCat("entry ", entry, ": its buckets admit none of the trial batches"));
  }
  return probe;
}

Difference compare(const Probe &before, const Probe &after) {
  Difference worst;
  auto lost = [&](const std::string &what) { worst = {kInfinity, kInfinity, what}; };
  for (const auto &[entry, scenarios] : before) {
    const auto same = after.find(entry);
    if (same == after.end()) {
      lost(absl::StrCat("entry ", entry, " is gone"));
      return worst;
    }
    bool compared = false;
    for (const auto &[scenario, runs] : scenarios)
      // A scenario that the buckets left no room for is not compared.
      if (const auto now = same->second.find(scenario); now != same->second.end())
        for (const Run &run : now->second) {
          compared = true;
          const std::string where = absl::StrCat("entry ", entry, ", ", scenario);
          if (runs.front().results.empty() && run.results.empty())
            compare_runs(runs.front(), run, where, worst);
          else
            compare_results(runs.front(), run, where, worst);
        }
    if (!compared)
      lost(absl::StrCat("entry ", entry, " admits none of the batches it did"));
  }
  return worst;
}

} // namespace quern::reference

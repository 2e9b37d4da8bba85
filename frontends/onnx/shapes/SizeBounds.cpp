#include "frontends/onnx/shapes/SizeBounds.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>

namespace quern::onnx {
namespace {

/// The last size up to which a check of one symbol holds, where it holds for 1 and not for all.
std::optional<int64_t> last_of(const Check &check, const std::string &symbol) {
  const auto holds = [&](int64_t size) {
    const auto value = symbols::evaluate(check.a - check.b, {{symbol, size}});
    return value.ok() && *value == 0;
  };
  int64_t low = 1, high = int64_t{1} << 40;
  if (!holds(low) || holds(high))
    return std::nullopt;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (holds(middle) ? low : high) = middle;
  }
  return low;
}

/// The sizes that the model counts and that shapes are of: one that the file declares is of none.
std::vector<RunTimeSize> counted_sizes(const Inference &inference) {
  std::vector<RunTimeSize> counted;
  for (const RunTimeSize &size : inference.run_time_sizes)
    if (size.bound && std::ranges::any_of(inference.facts, [&](const Fact &fact) {
          return fact.shape && std::ranges::any_of(*fact.shape, [&](const Dim &dim) {
                   return dim.symbols().contains(size.symbol);
                 });
        }))
      counted.push_back(size);
  return counted;
}

/// Bounds of what the model counts, once those of what callers choose are known.
void bound_counted(std::vector<SizeBound> &bounds, const std::vector<RunTimeSize> &counted,
                   const std::map<std::string, int64_t> &given, Problems &problems) {
  const symbols::Maxima chosen = maxima(bounds);
  symbols::Maxima all = chosen;
  for (const RunTimeSize &size : counted) {
    const int64_t most = symbols::bounds(*size.bound, all).high;
    if (!size.bound->valid() || most == symbols::Interval::kNoHigh) {
      problems.add(size.symbol, "how large it can be is not known before the model runs",
                   "cut this part off before exporting");
      continue;
    }
    SizeBound bound{size.symbol, most, most, BoundOrigin::Counted, size.bound};
    const auto names = size.bound->symbols();
    if (!std::ranges::all_of(names, [&](const auto &name) { return chosen.contains(name); }))
      bound.counted = Dim(most);
    if (const auto wanted = given.find(size.symbol);
        wanted != given.end() && wanted->second < most) {
      bound.most = wanted->second;
      bound.origin = BoundOrigin::Given;
    }
    all.emplace(bound.symbol, bound.most);
    bounds.push_back(std::move(bound));
  }
}

} // namespace

std::vector<SizeBound> size_bounds(const Model &model, const Inference &inference,
                                   const std::map<std::string, int64_t> &given,
                                   Problems &problems) {
  std::vector<SizeBound> bounds;
  for (const ValueId input : model.graph.inputs) {
    const Fact &fact = inference.fact(input);
    for (size_t axis = 0; fact.shape && axis < fact.shape->size(); ++axis)
      for (const std::string &symbol : (*fact.shape)[axis].symbols())
        if (std::ranges::find(bounds, symbol, &SizeBound::symbol) == bounds.end())
          bounds.push_back({symbol, axis == 0 ? kDefaultBatch : kDefaultSize});
  }
  for (const Check &check : inference.checks) {
    auto names = check.a.symbols();
    names.merge(check.b.symbols());
    if (names.size() != 1)
      continue;
    const auto bound = std::ranges::find(bounds, *names.begin(), &SizeBound::symbol);
    const auto last = last_of(check, *names.begin());
    if (bound == bounds.end() || !last)
      continue;
    bound->limit = std::min(bound->limit, *last);
    if (bound->limit <= kLargestTable) {
      bound->most = bound->limit;
      bound->origin = BoundOrigin::Model;
    }
  }
  std::vector<std::string> names;
  for (const SizeBound &bound : bounds)
    names.push_back(bound.symbol);
  const std::vector<RunTimeSize> counted = counted_sizes(inference);
  for (const RunTimeSize &size : counted)
    names.push_back(size.symbol);
  for (const auto &[name, most] : given) {
    if (std::ranges::find(counted, name, &RunTimeSize::symbol) != counted.end())
      continue;
    const auto bound = std::ranges::find(bounds, name, &SizeBound::symbol);
    const std::string where = absl::StrCat("--dim ", name, "=", most);
    if (bound == bounds.end()) {
      problems.add(where, "the model's inputs have no such dimension",
                   names.empty() ? "all its sizes are fixed"
                                 : absl::StrCat("it has ", absl::StrJoin(names, ", ")));
    } else if (most > bound->limit) {
      problems.add(where, absl::StrCat("the model itself ends at ", bound->limit),
                   absl::StrCat("--dim ", name, "=", bound->limit));
    } else {
      bound->most = most;
      bound->origin = BoundOrigin::Given;
    }
  }
  bound_counted(bounds, counted, given, problems);
  return bounds;
}

symbols::Maxima maxima(const std::vector<SizeBound> &bounds) {
  symbols::Maxima maxima;
  for (const SizeBound &bound : bounds)
    maxima.emplace(bound.symbol, bound.most);
  return maxima;
}

} // namespace quern::onnx

// The quantized modules of a checkpoint: how the tensors that one weight is stored as become that
// weight (internal to frontends/hf/quantized).
#ifndef QUERN_FRONTENDS_HF_QUANTIZED_MODULES_H
#define QUERN_FRONTENDS_HF_QUANTIZED_MODULES_H

#include "frontends/Problem.h"
#include "frontends/StoredTensors.h"
#include "frontends/hf/quantized/Quantized.h"
#include "ir/weights/CodedWeight.h"

#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern::hf::quantized {

using Shape = std::vector<int64_t>;

class Modules {
public:
  Modules(StoredTensors &tensors, Problems &problems) : tensors_(tensors), problems_(problems) {}

  /// The modules `m` that have a tensor `m.suffix`.
  std::vector<std::string> with(std::string_view suffix) const;
  StoredTensors &tensors() { return tensors_; }
  Problems &problems() { return problems_; }

  /// What is known where only formats are asked for, and nothing of tensors.
  struct Planned {
    std::string dtype; ///< of the config, "" where it says none
    std::string head;  ///< module of the logits
  };
  void plan_for(Planned planned) { planned_ = std::move(planned); }
  const std::optional<Planned> &planned() const { return planned_; }
  void plan(PlannedFormats plan) { plan_ = std::move(plan); }
  PlannedFormats take_plan() { return std::move(plan_); }

  /// Weights of one format: what they take in the files, and packed.
  struct Sizes {
    int weights = 0;
    int64_t in_files = 0, packed = 0;
  };
  /// Counts a weight by its format, for what is told of the whole.
  void count(const weights::Coded &coded, const Shape &shape, const std::string &format);
  const std::map<std::string, Sizes> &formats() const { return formats_; }

private:
  StoredTensors &tensors_;
  Problems &problems_;
  std::map<std::string, Sizes> formats_;
  std::optional<Planned> planned_;
  PlannedFormats plan_;
};

/// What libraries store scales as where the config's dtype is this: its own type, or float16.
weights::Element scales_of(const std::string &dtype);

/// How integer codes of one scheme are planned: the same numbers for every module.
struct IntegerPlan {
  weights::Coded coded; ///< `group` -1: all inputs
  bool symmetric = true;
  bool reordered = false; ///< columns are out of order, where there are groups
};
std::string planned_format(IntegerPlan plan, int64_t outputs, int64_t inputs);

/// Whether a name is in a list of modules that are not converted, as transformers compares them:
/// names are parts of it.
bool is_listed(const std::vector<std::string> &list, const std::string &module);

/// The names of a list, where the config has one.
std::vector<std::string> names_in(ModelReader &reader, const std::string &key);

/// One module, while its tensors are gathered. What is wrong with it is a problem, said where it is
/// found; finish() then leaves the weight out and sees to it that nothing more is said of it.
class Module {
public:
  Module(Modules &modules, std::string name) : modules_(modules), name_(std::move(name)) {}

  const std::string &name() const { return name_; }
  bool has(std::string_view suffix) const { return find(suffix) != nullptr; }
  /// The shape of a tensor of that rank; empty, and a problem, where there is none.
  Shape shape(std::string_view suffix, size_t rank);
  /// A tensor as a part, of one of these elements, and of one of these shapes where some are given.
  weights::Part part(std::string_view suffix, std::initializer_list<weights::Element> elements,
                     std::initializer_list<Shape> shapes);
  /// The bytes of a small tensor, which then is no tensor of the model's any more.
  std::span<const std::byte> bytes(std::string_view suffix, size_t most);

  void problem(std::string_view suffix, std::string what, std::string hint = "");
  bool ok() const { return ok_; }

  /// Puts the weight [outputs, inputs] in the place of its parts, in the format that holds it.
  void finish(weights::Coded coded, int64_t outputs, int64_t inputs, std::string_view type);

private:
  std::string full(std::string_view suffix) const { return name_ + "." + std::string(suffix); }
  const StoredTensor *find(std::string_view suffix) const;
  const StoredTensor *require(std::string_view suffix);

  Modules &modules_;
  std::string name_;
  std::vector<std::string> taken_;
  bool ok_ = true;
};

} // namespace quern::hf::quantized

#endif // QUERN_FRONTENDS_HF_QUANTIZED_MODULES_H

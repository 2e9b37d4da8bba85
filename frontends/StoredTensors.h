// The tensors that a model's files hold, whatever the files' format, and how a recipe's tensors are
// found among them.
#ifndef QUERN_FRONTENDS_STOREDTENSORS_H
#define QUERN_FRONTENDS_STOREDTENSORS_H

#include "frontends/Problem.h"
#include "frontends/recipe/Recipe.h"
#include "frontends/recipe/Source.h"
#include "ir/weights/WeightStore.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace quern {

struct StoredTensor {
  std::vector<int64_t> shape; ///< row-major
  std::string format;         ///< a name in ir/formats; empty: Quern does not read this type
  std::string type;           ///< what the file calls it, for messages
  int file = 0;               ///< index into the store's files
  uint64_t offset = 0;
  /// A weight [outputs, inputs] made of several tensors, which are no longer in the list.
  std::shared_ptr<const weights::Coded> coded{};
};

class StoredTensors {
public:
  weights::WeightStore store;
  std::map<std::string, StoredTensor, std::less<>> list;
  /// Tensors of which a problem was said already: neither missing nor too many.
  std::set<std::string, std::less<>> reported;

  /// Dimensions of 1 mean nothing: files drop them, and add them (GGUF).
  bool ones_mean_nothing = false;

  /// Tensors that change nothing of what a model computes, and why: one may be there though the
  /// recipe has no place for it.
  std::map<std::string, std::string, std::less<>> harmless;

  /// Gives the parts of a tensor, which lie in it one behind the other, names and shapes of their
  /// own, in its place. Nothing is copied. An error where they are not all of it.
  absl::Status cut(const std::string &name,
                   const std::vector<std::pair<std::string, std::vector<int64_t>>> &parts);

  /// A small tensor's values, at most 2^20.
  absl::StatusOr<std::vector<float>> values(const std::string &name) const;

  /// Where each of `wanted` is. A tensor that is missing, of another shape or of a type Quern does
  /// not read is a problem, and so is one that is in the files and neither wanted, nor in `known`,
  /// nor harmless: it would have changed what the model computes.
  std::vector<recipe::Place> place(const std::vector<recipe::Tensor> &wanted,
                                   const std::set<std::string> &known, Problems &problems) const;
  /// Says which tensors of a recipe are missing, where their shapes are made up of other problems.
  /// Nothing where there are no tensors at all: then the number of layers is bounded by nothing.
  void report_missing(const recipe::Decoder &decoder, Problems &problems) const;

  /// How each tensor that Quern reads is stored.
  recipe::StoredFormats formats() const;

  /// The files' paths, by number.
  std::vector<std::string> paths() const;

  /// A number by which to tell models apart: of names, shapes, formats and the first and last bytes
  /// of each tensor. Reading them all would take as long as compiling.
  absl::StatusOr<uint64_t> hash() const;

private:
  /// Where the tensor of that name is, which is `tensor` or a part of it; nothing, and a problem
  /// unless one was said already, where it is not, or is another.
  std::optional<recipe::Place> find(const recipe::Tensor &tensor, const std::string &name,
                                    Problems &problems) const;
};

/// "[576, 192]", for messages.
std::string shape_text(const std::vector<int64_t> &shape);

} // namespace quern

#endif // QUERN_FRONTENDS_STOREDTENSORS_H

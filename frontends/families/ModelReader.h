// What a family file sees of a model: settings by key and tensors by name, the same for config.json
// and for GGUF's metadata (whose keys come without the architecture's prefix).
//
// A read that fails adds a problem and returns a value that is safe to go on with, so that one pass
// over a model finds all that is wrong with it. Keys that are read are remembered: a key nobody
// read is one whose meaning Quern does not know, and that is a problem too (see check_unread).
#ifndef QUERN_FRONTENDS_FAMILIES_MODELREADER_H
#define QUERN_FRONTENDS_FAMILIES_MODELREADER_H

#include "frontends/Problem.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quern {

class StoredTensors;

class ModelReader {
public:
  /// `tensors` must outlive the reader. `context`: the longest sequence the user asked for, if any.
  ModelReader(const StoredTensors &tensors, Problems &problems, std::optional<int64_t> context)
      : tensors_(tensors), problems_(problems), context_(context) {}
  virtual ~ModelReader() = default;
  ModelReader(const ModelReader &) = delete;
  ModelReader &operator=(const ModelReader &) = delete;

  Problems &problems() { return problems_; }
  /// Tells the longest sequence the model was made for; returns the longest there will be, which
  /// may have been asked for otherwise.
  int64_t context(int64_t limit);
  void problem(std::string_view key, std::string what, std::string hint = "");
  /// The same, of a value that tensors' shapes follow from.
  void wrong_size(std::string_view key, std::string what, std::string hint = "");
  /// Whether the shapes that the recipe gives its tensors are the model's: no integer and no
  /// boolean had to be made up. Where one was, every tensor that depends on it would look wrong.
  bool sizes_are_real() const { return sizes_are_real_; }

  /// Whether the key is there and not null. Keys of nested objects are joined by dots:
  /// "rope_parameters.factor".
  bool has(std::string_view key) const { return lookup(key); }
  /// Whether the key is there, null or not: null may mean "none" where a missing key means the
  /// default.
  virtual bool mentions(std::string_view key) const { return lookup(key); }
  /// Whether the key is there and its value is a list.
  virtual bool is_list(std::string_view key) const = 0;
  /// Whether the key is there and its value is text.
  bool is_text(std::string_view key) const { return has(key) && get_text(key).ok(); }
  /// Whether the key is there and its value is what Python takes for none: false or an empty
  /// object.
  virtual bool is_empty(std::string_view /*key*/) const { return false; }

  // Without a fallback the key is required. What is out of bounds or of another type is a problem,
  // and the lower bound (or the fallback) is returned.
  int64_t integer(std::string_view key, int64_t low, int64_t high,
                  std::optional<int64_t> fallback = std::nullopt);
  /// The number of layers, which is no more than the tensors the files have: a number that is wrong
  /// is one problem, not a missing tensor for each layer.
  int64_t layers(std::string_view key);
  double number(std::string_view key, double low, double high,
                std::optional<double> fallback = std::nullopt);
  /// null is false, whatever a missing key is.
  bool boolean(std::string_view key, bool fallback);
  std::string text(std::string_view key, std::optional<std::string> fallback = std::nullopt);
  std::vector<std::string> texts(std::string_view key);
  /// Some of them may be infinite; false and true are 0 and 1.
  std::vector<double> numbers(std::string_view key);
  /// An integer of each layer, where the key may be a list with an entry for each, or one integer
  /// for all. What is wrong is a problem; there are `layers` entries in any case.
  std::vector<int64_t> integers_by_layer(std::string_view key, int64_t layers, int64_t low,
                                         int64_t high,
                                         std::optional<int64_t> fallback = std::nullopt);

  /// Marks keys as known not to change what the model computes.
  void ignore(std::initializer_list<std::string_view> keys);
  /// Names keys, as the file spells them and with all inside them, that something else reads: the
  /// tokenizer's importer, or what finds the family. They are not marked.
  void read_elsewhere(std::initializer_list<std::string_view> keys);
  /// A setting that Quern has in one position: any other value is a problem.
  void expect(std::string_view key, bool value);
  void expect_number(std::string_view key, double value);
  void expect_text(std::string_view key, const std::string &value);

  /// Adds a problem for each key that was neither read nor ignored, but for those of `ignored_keys`
  /// (ImportOptions), which are held to be such keys.
  void check_unread(const std::vector<std::string> &ignored_keys);

  /// What a user should know though it is no problem.
  void note(std::string text) { notes_.push_back(std::move(text)); }
  std::vector<std::string> take_notes() { return std::move(notes_); }

  /// The tensor's shape as the files have it; nullopt if there is no such tensor, or if the weights
  /// are synthetic.
  std::optional<std::vector<int64_t>> tensor_shape(const std::string &name) const;
  /// A small tensor's values (at most 2^20 of them), which the recipe then holds in some form: the
  /// tensor itself need not be a weight of the recipe.
  absl::StatusOr<std::vector<float>> tensor_values(const std::string &name);
  /// Leaves out tensors whose names begin with `prefix`: they guess further tokens, and the next
  /// does not depend on them. That there are such is noted.
  void leave_out(const std::string &prefix);
  /// The same of `count` layers from `first` on, whose tensors' names begin with `prefix` and the
  /// layer.
  void leave_out_layers(const std::string &prefix, int64_t first, int64_t count);
  /// A tensor that files may have and the model has no use for.
  void pass_over(const std::string &tensor) { taken_.insert(tensor); }
  /// All whose names begin with `prefix`; a note says `what` they are, if there are any.
  void pass_over_all(const std::string &prefix, const std::string &what);
  /// Tensors whose values a family took, and those left out.
  const std::set<std::string> &taken() const { return taken_; }
  bool has_tensor(const std::string &name) const { return tensor_shape(name).has_value(); }

protected:
  // What the files say. `key` is there in the get_ calls; errors name it and say what its value is
  // instead.
  virtual bool lookup(std::string_view key) const = 0;
  virtual absl::StatusOr<int64_t> get_integer(std::string_view key) const = 0;
  virtual absl::StatusOr<double> get_number(std::string_view key) const = 0;
  virtual absl::StatusOr<bool> get_boolean(std::string_view key) const = 0;
  virtual absl::StatusOr<std::string> get_text(std::string_view key) const = 0;
  virtual absl::StatusOr<std::vector<std::string>> get_texts(std::string_view key) const = 0;
  virtual absl::StatusOr<std::vector<double>> get_numbers(std::string_view key) const = 0;
  /// Remembers that the key, with all inside it, is known.
  virtual void mark(std::string_view key) = 0;
  /// The keys that are there and are not known, as the file spells them.
  virtual std::vector<std::string> unread() const = 0;
  /// Whether a key is there by the file's own spelling, and not null.
  virtual bool is_there(std::string_view spelled) const = 0;
  /// The key as the file spells it, for messages.
  virtual std::string spelling(std::string_view key) const { return std::string(key); }

private:
  /// Whether the key, as the file spells it, or one inside it was asked for, here or elsewhere.
  bool was_read(const std::string &spelled) const;

  template <typename T>
  std::optional<T> read(std::string_view key, bool required,
                        absl::StatusOr<T> (ModelReader::*get)(std::string_view) const);

  const StoredTensors &tensors_;
  std::set<std::string> taken_;
  std::set<std::string> read_; ///< as the file spells them
  std::vector<std::string> elsewhere_;
  Problems &problems_;
  bool sizes_are_real_ = true;
  std::optional<int64_t> context_;
  std::vector<std::string> notes_;
};

/// "differs by layer: 8, 8, 4 ...", for messages.
std::string differs_by_layer(const std::vector<double> &entries);

} // namespace quern

#endif // QUERN_FRONTENDS_FAMILIES_MODELREADER_H

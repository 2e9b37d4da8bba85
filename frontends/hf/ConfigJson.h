// A model's config.json, read with bookkeeping: what was asked for is remembered, so that what was
// not understood can be listed. A key nobody asked about may change what the model computes.
#ifndef QUERN_FRONTENDS_HF_CONFIGJSON_H
#define QUERN_FRONTENDS_HF_CONFIGJSON_H

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace quern::hf {

/// An object of a config: the whole, or one nested in it. Cheap to copy; copies share the document
/// and the bookkeeping.
///
/// `null` counts as absent everywhere, as it means "the default" where these files are written.
/// Every getter marks its key as read, whether or not it succeeds. Errors name the file and the key
/// with its path (`rope_scaling.factor`).
class ConfigJson {
public:
  /// Reads the file at `path` (at most 16 MiB); its top level must be an object.
  static absl::StatusOr<ConfigJson> open(const std::string &path);
  /// The same from text; `path` is for messages.
  static absl::StatusOr<ConfigJson> parse(std::string_view text, const std::string &path);

  /// Whether the key is there and not null. Marks nothing.
  bool has(std::string_view key) const;
  /// Whether the key is there, null or not. Marks nothing.
  bool mentions(std::string_view key) const;

  // Required values.
  absl::StatusOr<int64_t> get_int(std::string_view key,
                                  int64_t least = std::numeric_limits<int64_t>::min(),
                                  int64_t most = std::numeric_limits<int64_t>::max()) const;
  /// A count or a dimension: 1 .. 2^31-1.
  absl::StatusOr<int64_t> get_size(std::string_view key) const;
  /// Finite; integers are read as floats too.
  absl::StatusOr<double> get_float(std::string_view key) const;
  absl::StatusOr<bool> get_bool(std::string_view key) const;
  absl::StatusOr<std::string> get_string(std::string_view key) const;
  absl::StatusOr<std::vector<int64_t>> get_ints(std::string_view key) const;
  absl::StatusOr<std::vector<double>> get_floats(std::string_view key) const;
  /// The same, where elements may be infinite.
  absl::StatusOr<std::vector<double>> get_limits(std::string_view key) const;
  absl::StatusOr<std::vector<std::string>> get_strings(std::string_view key) const;
  /// The strings of an array and of the arrays in it, in order.
  absl::StatusOr<std::vector<std::string>> get_all_strings(std::string_view key) const;
  /// A nested object; its keys are read, and counted as unused, one by one.
  absl::StatusOr<ConfigJson> get_object(std::string_view key) const;
  /// An array of objects.
  absl::StatusOr<std::vector<ConfigJson>> get_objects(std::string_view key) const;

  /// The same document, of which nothing was read yet.
  ConfigJson unread() const;
  /// A nested object as a document of its own, in which paths begin.
  absl::StatusOr<ConfigJson> part(std::string_view key) const;
  /// A value as it is; null where it is absent. Marks nothing.
  nlohmann::json value(std::string_view key) const;

  // Values with a default for an absent key; a key of the wrong type is still an error.
  absl::StatusOr<int64_t> get_int_or(std::string_view key, int64_t otherwise) const;
  absl::StatusOr<int64_t> get_size_or(std::string_view key, int64_t otherwise) const;
  absl::StatusOr<double> get_float_or(std::string_view key, double otherwise) const;
  absl::StatusOr<bool> get_bool_or(std::string_view key, bool otherwise) const;
  absl::StatusOr<std::string> get_string_or(std::string_view key,
                                            const std::string &otherwise) const;

  /// Kinds, for keys that come in several (an id or a list of ids).
  bool is_array(std::string_view key) const;
  bool is_object(std::string_view key) const;
  bool is_string(std::string_view key) const;
  bool is_number(std::string_view key) const;
  bool is_bool(std::string_view key) const;

  /// Puts a value at the top of the document that the file does not have, as if it had.
  void add(std::string_view key, nlohmann::json value) const;

  /// Marks keys, and all inside them, as known to be of no consequence.
  void ignore(std::initializer_list<std::string_view> keys) const;

  /// The keys of this object and those nested in it that nobody read or ignored, as paths from the
  /// top of the file
  /// (`rope_scaling.factor`, `layers[3].kind`), sorted. A nested object of which nothing was read
  /// is one entry. Keys whose value is null are left out.
  std::vector<std::string> unused_keys() const;

  /// The keys of this object, sorted. Marks nothing.
  std::vector<std::string> keys() const;

  /// The file's path, and the path of `key` in it: for messages about a value that was read but
  /// cannot be used.
  const std::string &file() const { return state_->file; }
  std::string where(std::string_view key) const;
  /// An error about a value: "FILE: key 'a.b' WHAT".
  absl::Status error(std::string_view key, std::string_view what) const;

private:
  struct State {
    std::string file;
    nlohmann::json document;
    std::set<std::string> read; ///< paths read as a whole
  };
  ConfigJson(std::shared_ptr<State> state, const nlohmann::json *node, std::string prefix)
      : state_(std::move(state)), node_(node), prefix_(std::move(prefix)) {}

  static absl::StatusOr<ConfigJson> from_document(absl::StatusOr<nlohmann::json> document,
                                                  const std::string &path);
  template <typename T, typename Fits>
  absl::StatusOr<std::vector<T>> get_array(std::string_view key, Fits fits,
                                           std::string_view wanted) const;
  /// The value, marked as read; null if absent.
  const nlohmann::json *look(std::string_view key) const;
  const nlohmann::json *peek(std::string_view key) const;
  absl::Status missing(std::string_view key) const;
  absl::Status wrong(std::string_view key, const nlohmann::json &value,
                     std::string_view wanted) const;

  std::shared_ptr<State> state_;
  const nlohmann::json *node_;
  std::string prefix_; ///< of this object's keys: "" or "rope_scaling."
};

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_CONFIGJSON_H

#include "frontends/families/ModelReader.h"

#include "frontends/StoredTensors.h"
#include "frontends/recipe/Recipe.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace quern {

namespace {
constexpr const char *kAsPublished = "take the file as it was published with the model";
/// Whether --ignore-keys, whose value is a list, can name the key.
bool can_be_named(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return c > ' ' && c != 127 && c != ',' && c != '\'';
  });
}

/// As a shell takes it for one word.
std::string quoted(const std::string &word) {
  const bool plain = word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789_.,/:-") == std::string::npos;
  return plain ? word : absl::StrCat("'", word, "'");
}
} // namespace

std::optional<std::vector<int64_t>> ModelReader::tensor_shape(const std::string &name) const {
  auto it = tensors_.list.find(name);
  return it == tensors_.list.end() ? std::nullopt : std::optional(it->second.shape);
}

absl::StatusOr<std::vector<float>> ModelReader::tensor_values(const std::string &name) {
  taken_.insert(name);
  return tensors_.values(name);
}

void ModelReader::pass_over_all(const std::string &prefix, const std::string &what) {
  const size_t before = taken_.size();
  for (auto it = tensors_.list.lower_bound(prefix);
       it != tensors_.list.end() && it->first.starts_with(prefix); ++it)
    taken_.insert(it->first);
  if (taken_.size() > before)
    note(absl::StrCat(prefix, "* is left out: ", what));
}
void ModelReader::leave_out(const std::string &prefix) {
  const size_t before = taken_.size();
  for (auto it = tensors_.list.lower_bound(prefix);
       it != tensors_.list.end() && it->first.starts_with(prefix); ++it)
    taken_.insert(it->first);
  if (taken_.size() > before)
    note(absl::StrCat(prefix, "* guesses further tokens, and is left out: the next token does not ",
                      "depend on it"));
}

void ModelReader::leave_out_layers(const std::string &prefix, int64_t first, int64_t count) {
  for (int64_t layer = first; layer < first + count; ++layer)
    leave_out(absl::StrCat(prefix, layer, "."));
}

void ModelReader::problem(std::string_view key, std::string what, std::string hint) {
  problems_.add(spelling(key), std::move(what), std::move(hint));
}

void ModelReader::wrong_size(std::string_view key, std::string what, std::string hint) {
  sizes_are_real_ = false;
  problem(key, std::move(what), std::move(hint));
}

template <typename T>
std::optional<T> ModelReader::read(std::string_view key, bool required,
                                   absl::StatusOr<T> (ModelReader::*get)(std::string_view) const) {
  constexpr bool kIsSize = std::is_same_v<T, int64_t> || std::is_same_v<T, bool>;
  mark(key);
  read_.insert(spelling(key));
  if (!lookup(key)) {
    if (required && kIsSize)
      sizes_are_real_ = false;
    if (required)
      problem(key, "this key is missing", kAsPublished);
    return std::nullopt;
  }
  absl::StatusOr<T> value = (this->*get)(key);
  if (value.ok())
    return *std::move(value);
  if (kIsSize)
    sizes_are_real_ = false;
  problems_.add(spelling(key), value.status());
  return std::nullopt;
}

int64_t ModelReader::integer(std::string_view key, int64_t low, int64_t high,
                             std::optional<int64_t> fallback) {
  std::optional<int64_t> value = read(key, !fallback, &ModelReader::get_integer);
  if (!value)
    return fallback.value_or(low);
  if (*value >= low && *value <= high)
    return *value;
  wrong_size(key, absl::StrCat(*value, " is not in ", low, "..", high), kAsPublished);
  return fallback.value_or(low);
}

int64_t ModelReader::layers(std::string_view key) {
  const int64_t layers = integer(key, 1, recipe::kMaxLayers);
  const auto tensors = static_cast<int64_t>(tensors_.list.size());
  if (tensors == 0 || layers <= tensors) // without tensors, weights are made up
    return layers;
  wrong_size(key,
             absl::StrCat("there are ", layers, " layers, but the files have no more than ",
                          tensors, tensors == 1 ? " tensor" : " tensors"),
             "the files may be incomplete, or not belong to this config: take all of the "
             "model's files again");
  return 1;
}

double ModelReader::number(std::string_view key, double low, double high,
                           std::optional<double> fallback) {
  std::optional<double> value = read(key, !fallback, &ModelReader::get_number);
  if (!value)
    return fallback.value_or(low);
  if (*value >= low && *value <= high) // false for a NaN
    return *value;
  problem(key, absl::StrCat(*value, " is not in ", low, "..", high), kAsPublished);
  return fallback.value_or(low);
}

bool ModelReader::boolean(std::string_view key, bool fallback) {
  if (mentions(key) && !has(key))
    fallback = false; // null, which is no more than that in Python
  return read(key, false, &ModelReader::get_boolean).value_or(fallback);
}

std::string ModelReader::text(std::string_view key, std::optional<std::string> fallback) {
  return read(key, !fallback, &ModelReader::get_text).value_or(fallback.value_or(""));
}

std::vector<std::string> ModelReader::texts(std::string_view key) {
  return read(key, false, &ModelReader::get_texts).value_or(std::vector<std::string>());
}

std::vector<double> ModelReader::numbers(std::string_view key) {
  return read(key, false, &ModelReader::get_numbers).value_or(std::vector<double>());
}

std::vector<int64_t> ModelReader::integers_by_layer(std::string_view key, int64_t layers,
                                                    int64_t low, int64_t high,
                                                    std::optional<int64_t> fallback) {
  const auto count = static_cast<size_t>(layers);
  if (!is_list(key))
    return std::vector<int64_t>(count, integer(key, low, high, fallback));
  std::vector<int64_t> list;
  for (const double entry : numbers(key))
    if (entry >= static_cast<double>(low) && entry <= static_cast<double>(high) &&
        entry == std::floor(entry)) {
      list.push_back(static_cast<int64_t>(entry));
    } else {
      wrong_size(key,
                 absl::StrCat("layer ", list.size(), " has ", entry, ", which is not in ", low,
                              "..", high),
                 kAsPublished);
      list.push_back(low);
    }
  // Where the number of layers is made up, nothing is to be said of it here.
  if (list.size() != count && sizes_are_real_)
    wrong_size(key, absl::StrCat(list.size(), " entries for ", layers, " layers"), kAsPublished);
  list.resize(count, fallback.value_or(low));
  return list;
}

std::string differs_by_layer(const std::vector<double> &entries) {
  std::string text = "differs by layer: ";
  constexpr size_t kMost = 8;
  for (size_t i = 0; i < entries.size() && i < kMost; ++i)
    absl::StrAppend(&text, i ? ", " : "", entries[i]);
  return entries.size() > kMost ? text + " ..." : text;
}

void ModelReader::ignore(std::initializer_list<std::string_view> keys) {
  for (std::string_view key : keys)
    mark(key);
}

void ModelReader::expect(std::string_view key, bool value) {
  if (boolean(key, value) != value)
    problem(key, absl::StrCat("Quern has this only as ", value ? "true" : "false"));
}

void ModelReader::expect_number(std::string_view key, double value) {
  std::optional<double> is = read(key, false, &ModelReader::get_number);
  if (is && *is != value)
    problem(key, absl::StrCat("it is ", *is, ", and Quern has this only as ", value));
}

void ModelReader::expect_text(std::string_view key, const std::string &value) {
  if (const std::string is = text(key, value); is != value)
    problem(key, absl::StrCat("it is '", is, "', and Quern has this only as '", value, "'"));
}

int64_t ModelReader::context(int64_t limit) {
  if (context_.value_or(limit) > limit)
    notes_.push_back(absl::StrCat("a context of ", *context_, " goes beyond the ", limit,
                                  " tokens the model was made for"));
  return context_.value_or(limit);
}

void ModelReader::read_elsewhere(std::initializer_list<std::string_view> keys) {
  elsewhere_.insert(elsewhere_.end(), keys.begin(), keys.end());
}

bool ModelReader::was_read(const std::string &spelled) const {
  if (std::any_of(elsewhere_.begin(), elsewhere_.end(), [&](const std::string &key) {
        return spelled == key || spelled.starts_with(key + ".");
      }))
    return true;
  const auto next = read_.lower_bound(spelled);
  return next != read_.end() && (*next == spelled || next->starts_with(spelled + "."));
}

void ModelReader::check_unread(const std::vector<std::string> &ignored_keys) {
  const std::vector<std::string> unknown = unread();
  const auto contains = [](const std::vector<std::string> &list, const std::string &key) {
    return std::find(list.begin(), list.end(), key) != list.end();
  };
  // One command line that goes on without all of them.
  std::vector<std::string> to_name;
  for (const std::string &key : ignored_keys) {
    if (contains(unknown, key)) {
      to_name.push_back(key);
    } else if (!is_there(key)) {
      problems_.add("--ignore-keys", absl::StrCat("the model has no key '", key, "'"),
                    absl::StrCat("its keys that Quern does not know: ",
                                 unknown.empty() ? "none" : absl::StrJoin(unknown, ", ")));
    } else if (was_read(key)) {
      problems_.add("--ignore-keys",
                    absl::StrCat("'", key, "' is a key that Quern reads, and will not pass over"),
                    "leave it out of --ignore-keys");
    } else {
      note(absl::StrCat("--ignore-keys: '", key,
                        "' is known to change nothing, and need not be "
                        "named"));
    }
  }
  for (const std::string &key : unknown)
    if (!contains(to_name, key) && can_be_named(key))
      to_name.push_back(key);
  for (const std::string &key : unknown)
    if (!contains(ignored_keys, key))
      problems_.add(
          key, "Quern does not know what this key does to the model",
          can_be_named(key)
              ? absl::StrCat("if it does not change the model's output, go on without it: "
                             "--ignore-keys ",
                             quoted(absl::StrJoin(to_name, ",")))
              : "if it does not change the model's output, remove it from the file");
}

} // namespace quern

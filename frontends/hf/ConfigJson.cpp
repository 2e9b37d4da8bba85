#include "frontends/hf/ConfigJson.h"

#include "frontends/hf/JsonText.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

namespace quern::hf {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxConfigBytes = 16 << 20;
constexpr int64_t kMaxSize = std::numeric_limits<int32_t>::max();

/// A value as a message shows it: short, whatever it is.
std::string shown(const json &value) {
  if (value.is_object())
    return "an object";
  if (value.is_array())
    return absl::StrCat("an array of ", value.size());
  if (value.is_number_float() && !std::isfinite(value.get<double>())) // which JSON cannot say
    return std::isnan(value.get<double>()) ? "NaN"
           : value.get<double>() > 0       ? "Infinity"
                                           : "-Infinity";
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > 60)
    text = text.substr(0, 57) + "...";
  return text;
}

bool fits_int64(const json &value) {
  return value.is_number_integer() &&
         (!value.is_number_unsigned() ||
          value.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
}

bool is_finite_number(const json &value) {
  return value.is_number() && std::isfinite(value.get<double>());
}

/// Finds what was not read: `prefix` is the path of `object` with its dot.
void collect_unused(const json &object, const std::string &prefix,
                    const std::set<std::string> &read, std::vector<std::string> &unused) {
  const auto touched = [&](const std::string &path) {
    const auto next = read.lower_bound(path);
    return next != read.end() && next->compare(0, path.size(), path) == 0;
  };
  for (const auto &[key, value] : object.items()) {
    const std::string path = prefix + key;
    if (value.is_null() || read.count(path) != 0)
      continue;
    if (value.is_object() && touched(path + ".")) {
      collect_unused(value, path + ".", read, unused);
    } else if (value.is_array() && touched(path + "[")) { // an array of objects, by get_objects
      for (size_t i = 0; i < value.size(); ++i)
        collect_unused(value[i], absl::StrCat(path, "[", i, "]."), read, unused);
    } else {
      unused.push_back(path);
    }
  }
}

} // namespace

absl::StatusOr<ConfigJson> ConfigJson::from_document(absl::StatusOr<json> document,
                                                     const std::string &path) {
  if (!document.ok())
    return document.status();
  if (!document->is_object())
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is ", shown(*document), ", not an object"));
  auto state = std::make_shared<State>();
  state->file = path;
  state->document = *std::move(document);
  const json *node = &state->document;
  return ConfigJson(std::move(state), node, "");
}

absl::StatusOr<ConfigJson> ConfigJson::open(const std::string &path) {
  return from_document(read_json(path, kMaxConfigBytes), path);
}

absl::StatusOr<ConfigJson> ConfigJson::parse(std::string_view text, const std::string &path) {
  return from_document(parse_json(text, path), path);
}

const json *ConfigJson::peek(std::string_view key) const {
  const auto found = node_->find(std::string(key));
  return found == node_->end() || found->is_null() ? nullptr : &*found;
}

const json *ConfigJson::look(std::string_view key) const {
  state_->read.insert(where(key));
  return peek(key);
}

bool ConfigJson::has(std::string_view key) const { return peek(key) != nullptr; }

bool ConfigJson::mentions(std::string_view key) const {
  return node_->find(std::string(key)) != node_->end();
}

std::string ConfigJson::where(std::string_view key) const { return prefix_ + std::string(key); }

absl::Status ConfigJson::error(std::string_view key, std::string_view what) const {
  return absl::InvalidArgumentError(
      absl::StrCat(file(), ": key '", where(key), "' ", std::string(what)));
}

absl::Status ConfigJson::missing(std::string_view key) const {
  return absl::NotFoundError(absl::StrCat(file(), ": key '", where(key),
                                          "' is missing; add it, with the value the model was "
                                          "trained with"));
}

absl::Status ConfigJson::wrong(std::string_view key, const json &value,
                               std::string_view wanted) const {
  return error(key, absl::StrCat("is ", shown(value), ", not ", std::string(wanted)));
}

absl::StatusOr<int64_t> ConfigJson::get_int(std::string_view key, int64_t least,
                                            int64_t most) const {
  const json *value = look(key);
  if (value == nullptr)
    return missing(key);
  if (!fits_int64(*value))
    return wrong(key, *value, "an integer");
  const auto number = value->get<int64_t>();
  if (number < least || number > most)
    return error(key, absl::StrCat("is ", number, ", which is not in ", least, " .. ", most));
  return number;
}

absl::StatusOr<int64_t> ConfigJson::get_size(std::string_view key) const {
  return get_int(key, 1, kMaxSize);
}

absl::StatusOr<double> ConfigJson::get_float(std::string_view key) const {
  const json *value = look(key);
  if (value == nullptr)
    return missing(key);
  if (!is_finite_number(*value))
    return wrong(key, *value, "a finite number");
  return value->get<double>();
}

absl::StatusOr<bool> ConfigJson::get_bool(std::string_view key) const {
  const json *value = look(key);
  if (value == nullptr)
    return missing(key);
  if (!value->is_boolean())
    return wrong(key, *value, "true or false");
  return value->get<bool>();
}

absl::StatusOr<std::string> ConfigJson::get_string(std::string_view key) const {
  const json *value = look(key);
  if (value == nullptr)
    return missing(key);
  if (!value->is_string())
    return wrong(key, *value, "a string");
  return value->get<std::string>();
}

template <typename T, typename Fits>
absl::StatusOr<std::vector<T>> ConfigJson::get_array(std::string_view key, Fits fits,
                                                     std::string_view wanted) const {
  const json *value = look(key);
  if (value == nullptr)
    return missing(key);
  if (!value->is_array())
    return wrong(key, *value, absl::StrCat("an array of ", std::string(wanted)));
  std::vector<T> result;
  for (size_t i = 0; i < value->size(); ++i) {
    const json &element = (*value)[i];
    if (!fits(element))
      return error(absl::StrCat(std::string(key), "[", i, "]"),
                   absl::StrCat("is ", shown(element), "; the array is of ", std::string(wanted)));
    result.push_back(element.get<T>());
  }
  return result;
}

absl::StatusOr<std::vector<int64_t>> ConfigJson::get_ints(std::string_view key) const {
  return get_array<int64_t>(key, fits_int64, "integers");
}

absl::StatusOr<std::vector<double>> ConfigJson::get_floats(std::string_view key) const {
  return get_array<double>(key, is_finite_number, "finite numbers");
}

absl::StatusOr<std::vector<double>> ConfigJson::get_limits(std::string_view key) const {
  const json *value = look(key);
  if (value == nullptr)
    return missing(key);
  if (!value->is_array())
    return wrong(key, *value, "an array of numbers");
  std::vector<double> result;
  for (const json &element : *value) {
    if (!(element.is_number() || element.is_boolean()) || std::isnan(element.get<double>()))
      return error(key, absl::StrCat("holds ", shown(element), ", not a number"));
    result.push_back(element.get<double>());
  }
  return result;
}

absl::StatusOr<std::vector<std::string>> ConfigJson::get_strings(std::string_view key) const {
  return get_array<std::string>(
      key, [](const json &element) { return element.is_string(); }, "strings");
}

absl::StatusOr<std::vector<std::string>> ConfigJson::get_all_strings(std::string_view key) const {
  const json *value = look(key);
  if (value == nullptr)
    return missing(key);
  std::vector<std::string> all;
  const auto add = [&](const json &element) {
    if (element.is_string())
      all.push_back(element.get<std::string>());
    return element.is_string();
  };
  if (value->is_array() && std::all_of(value->begin(), value->end(), [&](const json &element) {
        return element.is_array() ? std::all_of(element.begin(), element.end(), add) : add(element);
      }))
    return all;
  return wrong(key, *value, "an array of strings, or of arrays of them");
}

absl::StatusOr<ConfigJson> ConfigJson::get_object(std::string_view key) const {
  const json *value = peek(key);
  if (value == nullptr)
    return missing(key);
  if (!value->is_object())
    return wrong(key, *value, "an object");
  if (value->empty())
    look(key); // nothing in it will be read, and nothing is left unread
  return ConfigJson(state_, value, where(key) + ".");
}

ConfigJson ConfigJson::unread() const {
  auto state = std::make_shared<State>(State{state_->file, *node_, {}});
  const json *node = &state->document;
  return ConfigJson(std::move(state), node, "");
}

absl::StatusOr<ConfigJson> ConfigJson::part(std::string_view key) const {
  absl::StatusOr<ConfigJson> object = get_object(key);
  if (!object.ok())
    return object.status();
  return object->unread();
}

json ConfigJson::value(std::string_view key) const {
  const json *value = peek(key);
  return value == nullptr ? json() : *value;
}

absl::StatusOr<std::vector<ConfigJson>> ConfigJson::get_objects(std::string_view key) const {
  const json *value = peek(key);
  if (value == nullptr)
    return missing(key);
  if (!value->is_array())
    return wrong(key, *value, "an array of objects");
  if (value->empty())
    look(key);
  std::vector<ConfigJson> result;
  for (size_t i = 0; i < value->size(); ++i) {
    const json &element = (*value)[i];
    const std::string place = absl::StrCat(where(key), "[", i, "]");
    if (!element.is_object())
      return error(absl::StrCat(std::string(key), "[", i, "]"),
                   absl::StrCat("is ", shown(element), "; the array is of objects"));
    result.push_back(ConfigJson(state_, &element, place + "."));
  }
  return result;
}

absl::StatusOr<int64_t> ConfigJson::get_int_or(std::string_view key, int64_t otherwise) const {
  return look(key) == nullptr ? absl::StatusOr<int64_t>(otherwise) : get_int(key);
}

absl::StatusOr<int64_t> ConfigJson::get_size_or(std::string_view key, int64_t otherwise) const {
  return look(key) == nullptr ? absl::StatusOr<int64_t>(otherwise) : get_size(key);
}

absl::StatusOr<double> ConfigJson::get_float_or(std::string_view key, double otherwise) const {
  return look(key) == nullptr ? absl::StatusOr<double>(otherwise) : get_float(key);
}

absl::StatusOr<bool> ConfigJson::get_bool_or(std::string_view key, bool otherwise) const {
  return look(key) == nullptr ? absl::StatusOr<bool>(otherwise) : get_bool(key);
}

absl::StatusOr<std::string> ConfigJson::get_string_or(std::string_view key,
                                                      const std::string &otherwise) const {
  return look(key) == nullptr ? absl::StatusOr<std::string>(otherwise) : get_string(key);
}

bool ConfigJson::is_array(std::string_view key) const {
  const json *value = peek(key);
  return value != nullptr && value->is_array();
}

bool ConfigJson::is_object(std::string_view key) const {
  const json *value = peek(key);
  return value != nullptr && value->is_object();
}

bool ConfigJson::is_string(std::string_view key) const {
  const json *value = peek(key);
  return value != nullptr && value->is_string();
}

bool ConfigJson::is_number(std::string_view key) const {
  const json *value = peek(key);
  return value != nullptr && value->is_number();
}

bool ConfigJson::is_bool(std::string_view key) const {
  const json *value = peek(key);
  return value != nullptr && value->is_boolean();
}

void ConfigJson::add(std::string_view key, nlohmann::json value) const {
  state_->document[std::string(key)] = std::move(value);
}

void ConfigJson::ignore(std::initializer_list<std::string_view> keys) const {
  for (const std::string_view key : keys)
    state_->read.insert(where(key));
}

std::vector<std::string> ConfigJson::unused_keys() const {
  std::vector<std::string> unused;
  collect_unused(*node_, prefix_, state_->read, unused);
  std::sort(unused.begin(), unused.end());
  return unused;
}

std::vector<std::string> ConfigJson::keys() const {
  std::vector<std::string> keys;
  for (const auto &[key, value] : node_->items())
    keys.push_back(key);
  return keys;
}

} // namespace quern::hf

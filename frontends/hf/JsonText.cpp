#include "frontends/hf/JsonText.h"

#include "frontends/ModelFile.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <vector>

namespace quern::hf {
namespace {

using nlohmann::json;

/// Builds the document event by event, so that depth and keys are seen before anything is built on
/// them.
class Builder final : public nlohmann::json_sax<json> {
public:
  explicit Builder(std::string_view text) : text_(text) {}

  json document;
  std::string problem; ///< set when an event returned false

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t &) override { return add(value); }
  bool string(string_t &value) override { return add(std::move(value)); }
  bool binary(binary_t &) override { return fail("binary data in a text file"); }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_array() override { return close(); }

  bool key(string_t &name) override {
    json &object = *open_.back();
    if (object.contains(name))
      return fail(absl::StrCat("key '", name, "' is there twice in one object"));
    slot_ = &object[name];
    return true;
  }

  bool parse_error(std::size_t position, const std::string &,
                   const nlohmann::detail::exception &) override {
    size_t line = 1, column = 1;
    for (size_t i = 0; i + 1 < position && i < text_.size(); ++i) {
      column = text_[i] == '\n' ? 1 : column + 1;
      line += text_[i] == '\n';
    }
    return fail(absl::StrCat("not valid JSON at line ", line, ", column ", column));
  }

private:
  bool fail(std::string what) {
    problem = std::move(what);
    return false;
  }

  /// Puts a value where the document goes on: the root, a key's value, or the end of an array.
  json *place(json value) {
    json *at = &document;
    if (!open_.empty() && open_.back()->is_array()) {
      open_.back()->push_back(nullptr);
      at = &open_.back()->back();
    } else if (!open_.empty()) {
      at = slot_;
    }
    *at = std::move(value);
    return at;
  }
  bool add(json value) {
    place(std::move(value));
    return true;
  }
  bool open(json value) {
    if (open_.size() >= kMaxJsonDepth)
      return fail(absl::StrCat("nested deeper than ", kMaxJsonDepth));
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  // Only the innermost container grows, so pointers to its ancestors stay good.
  std::vector<json *> open_;
  json *slot_ = nullptr;
};

/// `text` with each bare Infinity replaced as parse_json's contract says; a copy is made only if
/// there is one.
std::string_view spell_infinities(std::string_view text, std::string &copy) {
  static constexpr std::string_view kInfinity = "Infinity";
  size_t done = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      quoted = !quoted;
    else if (!quoted && text[i] == 'I' && text.substr(i, kInfinity.size()) == kInfinity) {
      const bool negative = i > done && text[i - 1] == '-';
      copy += text.substr(done, i - negative - done);
      copy += negative ? R"({"__float__": "-Infinity"})" : R"({"__float__": "Infinity"})";
      done = i + kInfinity.size();
      i = done - 1;
    }
  }
  if (done == 0)
    return text;
  copy += text.substr(done);
  return copy;
}

} // namespace

absl::StatusOr<json> parse_json(std::string_view original, const std::string &path) {
  std::string copy;
  const std::string_view text = spell_infinities(original, copy);
  Builder builder(text);
  if (!json::sax_parse(text, &builder))
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": ", builder.problem, "; the file is damaged: download or save the model again"));
  return std::move(builder.document);
}

absl::StatusOr<json> read_json(const std::string &path, uint64_t max_bytes) {
  const auto file = open_model_file(path);
  if (!file.ok())
    return file.status();
  if ((*file)->size() > max_bytes)
    return absl::InvalidArgumentError(absl::StrCat(path, ": has ", (*file)->size(),
                                                   " bytes; such a file has at most ", max_bytes,
                                                   ", so this is something else"));
  const std::span<const std::byte> bytes = (*file)->bytes();
  return parse_json({reinterpret_cast<const char *>(bytes.data()), bytes.size()}, path);
}

} // namespace quern::hf

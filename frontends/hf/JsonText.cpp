#include "frontends/hf/JsonText.h"

#include "frontends/ModelFile.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <limits>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace quern::hf {
namespace {

using nlohmann::json;

/// What nlohmann's message says was wrong, without what it says of places.
std::string reason_in(std::string_view message) {
  const auto after = [&](std::string_view mark) {
    if (const size_t at = message.find(mark); at != std::string_view::npos)
      message.remove_prefix(at + mark.size());
  };
  after("] ");
  after("syntax error ");
  after("- ");
  // What was read last may be bytes that no terminal should see.
  message = message.substr(0, message.find("; last read: "));
  return std::string(message);
}

/// Builds the document event by event, so that depth and keys are seen before anything is built on
/// them.
template <class Json> class Builder final : public nlohmann::json_sax<Json> {
public:
  explicit Builder(JsonDialect dialect) : dialect_(dialect) {}

  Json document;
  // Set when an event returned false.
  std::string problem;
  std::optional<size_t> position; ///< of a problem of syntax: bytes read until then

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(typename Json::number_integer_t value) override { return add(value); }
  bool number_unsigned(typename Json::number_unsigned_t value) override { return add(value); }
  bool number_float(typename Json::number_float_t value, const std::string &) override {
    return add(value);
  }
  bool string(std::string &value) override { return add(std::move(value)); }
  bool binary(typename Json::binary_t &) override { return fail("binary data in a text file"); }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_array() override { return close(); }

  bool end_object() override {
    if (dialect_ == JsonDialect::Python && open_.back()->size() == 1)
      become_float(*open_.back());
    return close();
  }

  bool key(std::string &name) override {
    Json &object = *open_.back();
    if (dialect_ == JsonDialect::Strict && object.contains(name))
      return fail(absl::StrCat("key '", name, "' is there twice in one object"));
    slot_ = &object[name];
    return true;
  }

  bool parse_error(std::size_t at, const std::string &,
                   const nlohmann::detail::exception &error) override {
    position = at;
    return fail(reason_in(error.what()));
  }

private:
  bool fail(std::string what) {
    problem = std::move(what);
    return false;
  }

  /// Puts a value where the document goes on: the root, a key's value, or the end of an array.
  Json *place(Json value) {
    Json *at = &document;
    if (!open_.empty() && open_.back()->is_array()) {
      open_.back()->push_back(nullptr);
      at = &open_.back()->back();
    } else if (!open_.empty()) {
      at = slot_;
    }
    *at = std::move(value);
    return at;
  }
  bool add(Json value) {
    place(std::move(value));
    return true;
  }
  bool open(Json value) {
    if (open_.size() >= kMaxJsonDepth)
      return fail(absl::StrCat("nested deeper than ", kMaxJsonDepth));
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  /// {"__float__": "Infinity"} to a float.
  static void become_float(Json &object) {
    const auto it = object.find("__float__");
    if (it == object.end() || !it->is_string())
      return;
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const auto &name = it->template get_ref<const std::string &>();
    if (name == "Infinity")
      object = kInfinity;
    else if (name == "-Infinity")
      object = -kInfinity;
    else if (name == "NaN")
      object = std::numeric_limits<double>::quiet_NaN();
  }

  JsonDialect dialect_;
  // Only the innermost container grows, so pointers to its ancestors stay good.
  std::vector<Json *> open_;
  Json *slot_ = nullptr;
};

/// A text whose bare NaN, Infinity and -Infinity are spelled as objects of the floats' names, which
/// JSON has; and where its bytes were in the original.
class Spelled {
public:
  explicit Spelled(std::string_view original) : text_(original) {
    size_t done = 0;
    bool quoted = false;
    for (size_t i = 0; i < original.size(); ++i) {
      if (quoted && original[i] == '\\') {
        ++i;
      } else if (original[i] == '"') {
        quoted = !quoted;
      } else if (!quoted && (original[i] == 'I' || original[i] == 'N')) {
        for (const std::string_view name : {"Infinity", "NaN"})
          if (original.substr(i, name.size()) == name) {
            const bool negative = name == "Infinity" && i > done && original[i - 1] == '-';
            const size_t end = i + name.size();
            copy_ += original.substr(done, i - negative - done);
            absl::StrAppend(&copy_, R"({"__float__":")", negative ? "-" : "", std::string(name),
                            "\"}");
            ends_.emplace_back(copy_.size(), end);
            done = end;
            i = end - 1;
            break;
          }
      }
    }
    if (done == 0) // nothing was copied
      return;
    copy_ += original.substr(done);
    text_ = copy_;
  }
  Spelled(const Spelled &) = delete;
  Spelled &operator=(const Spelled &) = delete;

  std::string_view text() const { return text_; }

  size_t original_position(size_t position) const {
    size_t in_copy = 0, in_original = 0;
    for (const auto &[copy, original] : ends_)
      if (copy <= position)
        std::tie(in_copy, in_original) = std::pair(copy, original);
    return position - in_copy + in_original;
  }

private:
  std::string copy_;
  std::string_view text_;
  std::vector<std::pair<size_t, size_t>> ends_; ///< of each float: in the copy, in the original
};

/// "line 3, column 6" of the character before which `position` bytes were read, or of the last.
std::string place_in(std::string_view text, size_t position) {
  size_t line = 1, column = 1;
  for (size_t i = 0; i + 1 < position && i < text.size(); ++i) {
    const bool continues = (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
    column = text[i] == '\n' ? 1 : column + !continues;
    line += text[i] == '\n';
  }
  return absl::StrCat("line ", line, ", column ", column);
}

absl::Status refuse(const std::string &path, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": ", std::string(what), "; the file is damaged: download or save the model again"));
}

template <class Json>
absl::StatusOr<Json> parse(std::string_view text, const std::string &path, JsonDialect dialect) {
  static constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is text in UTF-16, and JSON files are in UTF-8: save it as UTF-8"));
  if (dialect == JsonDialect::Strict && text.starts_with(kByteOrderMark))
    return refuse(path, "begins with a byte order mark");
  if (text.starts_with(kByteOrderMark))
    text.remove_prefix(kByteOrderMark.size());
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    return refuse(path, "is empty, not JSON");
  const Spelled spelled(dialect == JsonDialect::Python ? text : std::string_view());
  const std::string_view json_text = dialect == JsonDialect::Python ? spelled.text() : text;
  Builder<Json> builder(dialect);
  if (Json::sax_parse(json_text, &builder))
    return std::move(builder.document);
  if (!builder.position)
    return refuse(path, builder.problem);
  const size_t position = spelled.original_position(*builder.position);
  return refuse(
      path, absl::StrCat("not valid JSON at ", place_in(text, position), ": ", builder.problem));
}

} // namespace

absl::StatusOr<json> parse_json(std::string_view text, const std::string &path,
                                JsonDialect dialect) {
  return parse<json>(text, path, dialect);
}

absl::StatusOr<nlohmann::ordered_json> parse_ordered_json(std::string_view text,
                                                          const std::string &path) {
  return parse<nlohmann::ordered_json>(text, path, JsonDialect::Python);
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

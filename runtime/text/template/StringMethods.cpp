#include "runtime/text/template/StringMethods.h"

#include "runtime/text/Message.h"
#include "runtime/text/Utf8.h"
#include "runtime/text/template/Operators.h"
#include "runtime/text/template/PythonText.h"

#include <algorithm>

namespace quern::text::jinja {
namespace {

constexpr std::string_view kStringMethods[] = {
    "strip",        "lstrip",  "rstrip",  "split",  "rsplit",    "splitlines", "startswith",
    "endswith",     "replace", "upper",   "lower",  "title",     "capitalize", "find",
    "rfind",        "index",   "count",   "join",   "isdigit",   "isalpha",    "isalnum",
    "isspace",      "isupper", "islower", "zfill",  "partition", "rpartition", "removeprefix",
    "removesuffix", "ljust",   "rjust",   "center", "isnumeric", "isdecimal",  "format"};

class StringMethod {
public:
  StringMethod(Machine &machine, const Method &method, const Arguments &arguments)
      : machine_(machine), text_(method.self.text()), name_(method.name), arguments_(arguments) {}

  Value call() {
    if (!machine_.work(text_.size()))
      return {};
    if (name_ == "strip" || name_ == "lstrip" || name_ == "rstrip")
      return stripped();
    if (name_ == "split" || name_ == "rsplit")
      return split();
    if (name_ == "splitlines")
      return split_lines();
    if (name_ == "startswith" || name_ == "endswith")
      return affix();
    if (name_ == "replace")
      return replaced();
    if (name_ == "upper" || name_ == "lower" || name_ == "title" || name_ == "capitalize")
      return machine_.string(change_case(text_, name_ == "upper"   ? Case::Upper
                                                : name_ == "lower" ? Case::Lower
                                                : name_ == "title" ? Case::Title
                                                                   : Case::Capitalize));
    if (name_ == "find" || name_ == "rfind" || name_ == "index")
      return position();
    if (name_ == "count")
      return Value(occurrences(string_argument(0, "sub")));
    if (name_ == "join")
      return joined();
    if (name_ == "partition" || name_ == "rpartition")
      return partition();
    if (name_ == "removeprefix" || name_ == "removesuffix") {
      const std::string_view affix = string_argument(0, "affix");
      if (name_ == "removeprefix")
        return part(text_.starts_with(affix) ? text_.substr(affix.size()) : text_);
      return part(text_.ends_with(affix) ? text_.substr(0, text_.size() - affix.size()) : text_);
    }
    if (name_ == "zfill" || name_ == "ljust" || name_ == "rjust" || name_ == "center")
      return padded();
    if (name_ == "format")
      return formatted();
    return Value(is_all());
  }

private:
  Value part(std::string_view text) { return Value(Kind::String, text); }

  std::string_view string_argument(size_t i, std::string_view name) {
    if (i < arguments_.positional.size() && arguments_.positional[i].is_string())
      return arguments_.positional[i].text();
    machine_.fail(concat("str.", name_, ": ", name, " must be a string"));
    return {};
  }

  Value stripped() {
    const StripSide side = name_ == "strip"    ? StripSide::Both
                           : name_ == "lstrip" ? StripSide::Left
                                               : StripSide::Right;
    const Values bound = arguments_.bind(machine_, name_, {"chars"});
    if (bound[0].is_undefined() || bound[0].is_none())
      return part(strip(text_, side));
    machine_.work(text_.size() * bound[0].text().size() / 8);
    return part(strip(text_, side, string_argument(0, "chars")));
  }

  Value split() {
    const Values bound = arguments_.bind(machine_, name_, {"sep", "maxsplit"});
    const bool from_right = name_ == "rsplit";
    int64_t left = bound[1].is_undefined() ? -1 : integer(machine_, bound[1], "maxsplit");
    std::optional<std::string_view> separator;
    if (bound[0].is_string())
      separator = bound[0].text();
    else if (!bound[0].is_undefined() && !bound[0].is_none())
      return machine_.fail("str.split: sep must be a string");
    if (separator && separator->empty())
      return machine_.fail("str.split: empty separator");
    Values parts;
    std::string_view rest = separator ? text_ : strip(text_, StripSide::Both);
    if (!separator && rest.empty())
      return machine_.list({});
    if (!separator && left >= 0 && !from_right)
      rest = strip(text_, StripSide::Left); // the last part keeps what ends it
    if (!separator && left >= 0 && from_right)
      rest = strip(text_, StripSide::Right);
    while (left != 0) {
      size_t at, size;
      if (separator) {
        at = from_right ? rest.rfind(*separator) : rest.find(*separator);
        size = separator->size();
      } else {
        std::tie(at, size) = white_space(rest, from_right);
      }
      if (at == std::string_view::npos)
        break;
      parts.push_back(part(from_right ? rest.substr(at + size) : rest.substr(0, at)));
      rest = from_right ? rest.substr(0, at) : rest.substr(at + size);
      --left;
    }
    if (separator || !rest.empty())
      parts.push_back(part(rest));
    if (from_right)
      std::reverse(parts.begin(), parts.end());
    return machine_.list(std::move(parts));
  }

  /// The first run of white space in `text`, or the last; npos if there is none.
  static std::pair<size_t, size_t> white_space(std::string_view text, bool last) {
    size_t found = std::string_view::npos, found_size = 0;
    for (size_t i = 0; i < text.size();) {
      const std::string_view here = text.substr(i);
      const size_t size = here.size() - strip(here, StripSide::Left).size();
      if (size > 0) {
        found = i;
        found_size = size;
        if (!last)
          break;
      }
      i += size > 0 ? size : first_code_point(here).size;
    }
    return {found, found_size};
  }

  Value split_lines() {
    const Values bound = arguments_.bind(machine_, name_, {"keepends"});
    Values lines;
    for (size_t begin = 0; begin < text_.size();) {
      size_t end = begin, next = text_.size();
      for (; end < text_.size(); ++end) {
        const CodePoint point = first_code_point(text_.substr(end));
        const char32_t c = point.value;
        if ((c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
            c == 0x2029) {
          next = end + point.size;
          if (text_.substr(end).starts_with("\r\n"))
            ++next;
          break;
        }
      }
      lines.push_back(part(text_.substr(begin, (truthy(bound[0]) ? next : end) - begin)));
      begin = next;
    }
    return machine_.list(std::move(lines));
  }

  Value affix() {
    const Values bound = arguments_.bind(machine_, name_, {"affix"});
    const auto matches = [&](const Value &affix) {
      if (!affix.is_string())
        machine_.fail(concat("str.", name_, " needs a string or a tuple of strings"));
      return affix.is_string() && (name_ == "startswith" ? text_.starts_with(affix.text())
                                                         : text_.ends_with(affix.text()));
    };
    if (bound[0].is_list() && bound[0].list().tuple)
      return Value(
          std::any_of(bound[0].list().items.begin(), bound[0].list().items.end(), matches));
    return Value(matches(bound[0]));
  }

  Value replaced() {
    const std::string_view from = string_argument(0, "old"), to = string_argument(1, "new");
    int64_t left = arguments_.positional.size() > 2
                       ? integer(machine_, arguments_.positional[2], "count")
                       : -1;
    return replace_text(machine_, text_, from, to, left);
  }

  Value position() {
    const std::string_view sub = string_argument(0, "sub");
    const size_t at = name_ == "rfind" ? text_.rfind(sub) : text_.find(sub);
    if (at != std::string_view::npos)
      return Value(static_cast<int64_t>(count_code_points(text_.substr(0, at))));
    return name_ == "index" ? machine_.fail("str.index: not found") : Value(int64_t{-1});
  }

  int64_t occurrences(std::string_view sub) {
    if (sub.empty())
      return static_cast<int64_t>(count_code_points(text_)) + 1;
    int64_t count = 0;
    for (size_t at = text_.find(sub); at != std::string_view::npos;
         at = text_.find(sub, at + sub.size()))
      ++count;
    return count;
  }

  Value joined() {
    const Values bound = arguments_.bind(machine_, name_, {"iterable"});
    std::string out;
    bool first = true;
    for (const Value &item : iterate(machine_, bound[0])) {
      if (!item.is_string())
        return machine_.fail(concat("str.join: ", kind_name(item), " is not a string"));
      if (!machine_.memory(text_.size() + item.text().size()))
        return {};
      if (!first)
        out += text_;
      out += item.text();
      first = false;
    }
    return machine_.string(std::move(out));
  }

  Value partition() {
    const std::string_view sub = string_argument(0, "sep");
    const bool right = name_ == "rpartition";
    const size_t at = right ? text_.rfind(sub) : text_.find(sub);
    if (sub.empty())
      return machine_.fail("str.partition: empty separator");
    if (at == std::string_view::npos)
      return machine_.list({part(right ? "" : text_), part(""), part(right ? text_ : "")}, true);
    return machine_.list(
        {part(text_.substr(0, at)), part(sub), part(text_.substr(at + sub.size()))}, true);
  }

  Value padded() {
    const Values bound = arguments_.bind(machine_, name_, {"width", "fill"});
    const int64_t missing =
        integer(machine_, bound[0], "width") - static_cast<int64_t>(count_code_points(text_));
    if (missing <= 0 || !machine_.ok())
      return part(text_);
    const std::string_view fill = name_ == "zfill"       ? "0"
                                  : bound[1].is_string() ? bound[1].text()
                                                         : " ";
    const auto fills = [&](int64_t count) {
      std::string out;
      if (static_cast<uint64_t>(count) < Machine::kMaxMemory &&
          machine_.memory(static_cast<size_t>(count) * fill.size()))
        for (int64_t i = 0; i < count; ++i)
          out += fill;
      else
        machine_.fail("a padding that is too long");
      return out;
    };
    if (name_ == "ljust")
      return machine_.string(concat(text_, fills(missing)));
    if (name_ == "center") { // the odd one goes left if the width is odd
      const int64_t left =
          missing / 2 + (missing & (missing + static_cast<int64_t>(count_code_points(text_))) & 1);
      return machine_.string(concat(fills(left), text_, fills(missing - left)));
    }
    const size_t sign =
        name_ == "zfill" && (text_.starts_with('-') || text_.starts_with('+')) ? 1 : 0;
    return machine_.string(concat(text_.substr(0, sign), fills(missing), text_.substr(sign)));
  }

  /// {} {0} {name}, without format specifications.
  Value formatted() {
    std::string out;
    size_t next = 0;
    for (size_t i = 0; i < text_.size() && machine_.ok(); ++i) {
      const char c = text_[i];
      if ((c == '{' || c == '}') && i + 1 < text_.size() && text_[i + 1] == c) {
        out += c;
        ++i;
      } else if (c == '{') {
        const size_t close = text_.find('}', i);
        if (close == std::string_view::npos)
          return machine_.fail("str.format: a '{' without its '}'");
        append_str(machine_, format_argument(text_.substr(i + 1, close - i - 1), next), out);
        i = close;
      } else {
        out += c;
      }
    }
    return machine_.string(std::move(out));
  }

  Value format_argument(std::string_view field, size_t &next) {
    size_t index = next;
    if (field.empty()) {
      ++next;
    } else if (std::all_of(field.begin(), field.end(),
                           [](char c) { return c >= '0' && c <= '9'; }) &&
               field.size() < 4) {
      index = 0;
      for (char c : field)
        index = index * 10 + static_cast<size_t>(c - '0');
    } else {
      for (const auto &[name, value] : arguments_.named)
        if (name == field)
          return value;
      return machine_.fail(concat("str.format: the field '", field, "' is not supported"));
    }
    if (index < arguments_.positional.size())
      return arguments_.positional[index];
    return machine_.fail("str.format: too few arguments");
  }

  bool is_all() {
    bool any = false, cased = false;
    for (std::string_view rest = text_; !rest.empty();) {
      const CodePoint point = first_code_point(rest);
      const char32_t c = point.value;
      const std::string_view spelled = rest.substr(0, point.size);
      rest.remove_prefix(point.size);
      any = true;
      const bool upper = change_case(spelled, Case::Lower) != spelled;
      const bool lower = change_case(spelled, Case::Upper) != spelled;
      cased |= upper || lower;
      if ((name_ == "isdigit" || name_ == "isnumeric" || name_ == "isdecimal") && !is_decimal(c))
        return false;
      if (name_ == "isalpha" && !is_letter(c))
        return false;
      if (name_ == "isalnum" && !is_letter(c) && !is_decimal(c))
        return false;
      if (name_ == "isspace" && !is_python_space(c))
        return false;
      if ((name_ == "isupper" && lower) || (name_ == "islower" && upper))
        return false;
    }
    return name_ == "isupper" || name_ == "islower" ? cased : any;
  }

  Machine &machine_;
  std::string_view text_;
  std::string_view name_;
  const Arguments &arguments_;
};

} // namespace

bool has_string_method(std::string_view name) {
  return std::find(std::begin(kStringMethods), std::end(kStringMethods), name) !=
         std::end(kStringMethods);
}

Value call_string_method(Machine &machine, const Method &method, const Arguments &arguments) {
  return StringMethod(machine, method, arguments).call();
}

} // namespace quern::text::jinja

// The values a template computes with, and the memory and work they may take.
//
// They follow Python's semantics where Jinja templates can tell (published chat templates are
// tested against Python). Values are small and trivially copyable; what they point to lives in a
// Machine until it ends, so there are no cycles to leak and no deep destructors to overflow the
// stack.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_VALUE_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_VALUE_H

#include <absl/status/status.h>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quern::text::jinja {

class Value;
struct List;
struct Dict;
struct Loop;
struct Macro;
struct Method;

enum class Kind : uint8_t {
  Undefined, ///< what a missing name or attribute gives; text() says which
  None,
  Bool,
  Int,
  Float,
  String,
  List, ///< Python's list or tuple
  Dict,
  Namespace, ///< a Dict whose attributes templates may set
  Loop,      ///< the variable `loop`
  Macro,
  Builtin, ///< a function of the environment, by name
  Method,  ///< a method bound to its object
};

class Value {
public:
  Value() : kind_(Kind::Undefined), size_(0), chars_("") {}
  Value(bool value) : kind_(Kind::Bool), size_(0), int_(value) {}
  Value(int64_t value) : kind_(Kind::Int), size_(0), int_(value) {}
  Value(double value) : kind_(Kind::Float), size_(0), float_(value) {}
  Value(Loop *loop) : kind_(Kind::Loop), size_(0), loop_(loop) {}
  Value(const Macro *macro) : kind_(Kind::Macro), size_(0), macro_(macro) {}
  Value(const Method *method) : kind_(Kind::Method), size_(0), method_(method) {}
  Value(const List *list) : kind_(Kind::List), size_(0), list_(list) {}
  Value(Dict *dict, Kind kind) : kind_(kind), size_(0), dict_(dict) {}
  /// String, Undefined or Builtin; `text` must outlive the value.
  Value(Kind kind, std::string_view text) : kind_(kind), size_(text.size()), chars_(text.data()) {}
  static Value none() { return Value(Kind::None, ""); }

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_undefined() const { return kind_ == Kind::Undefined; }
  bool is_none() const { return kind_ == Kind::None; }
  bool is_string() const { return kind_ == Kind::String; }
  bool is_list() const { return kind_ == Kind::List; }
  bool is_dict() const { return kind_ == Kind::Dict; }
  /// Bool or Int, which Python computes with alike.
  bool is_integer() const { return kind_ == Kind::Int || kind_ == Kind::Bool; }
  bool is_number() const { return is_integer() || kind_ == Kind::Float; }

  bool as_bool() const { return int_ != 0; }
  int64_t as_int() const { return int_; } ///< of Bool or Int
  double as_double() const { return kind_ == Kind::Float ? float_ : static_cast<double>(int_); }
  std::string_view text() const { return {chars_, size_}; } ///< of String, Undefined or Builtin
  const List &list() const { return *list_; }
  Dict &dict() const { return *dict_; } ///< of Dict or Namespace
  Loop &loop() const { return *loop_; }
  const Macro &macro() const { return *macro_; }
  const Method &method() const { return *method_; }

private:
  Kind kind_;
  size_t size_;
  union {
    int64_t int_;
    double float_;
    const char *chars_;
    const List *list_;
    Dict *dict_;
    Loop *loop_;
    const Macro *macro_;
    const Method *method_;
  };
};

using Values = std::vector<Value>;

struct List {
  Values items;
  bool tuple = false;
};

/// In order of insertion, as Python's.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
};

struct Method {
  Value self;
  std::string_view name;
};

/// What a `for` tells its body.
struct Loop {
  Values items;
  size_t index0 = 0;
  Values last_changed;
};

/// Runs out of work, memory or depth before a template can hang or exhaust the process, and keeps
/// the first error. After an error every operation is harmless and results mean nothing: callers
/// look at ok() where a loop could go on.
class Machine {
public:
  /// Work is counted in bytes touched; a step of the interpreter counts as 64.
  static constexpr size_t kMaxWork = size_t{1} << 30;
  static constexpr size_t kMaxMemory = size_t{1} << 28;
  static constexpr int kMaxDepth = 400;

  bool ok() const { return status_.ok(); }
  const absl::Status &status() const { return status_; }
  /// Records an error on the current line, if it is the first; returns Undefined.
  Value fail(std::string_view message);
  /// An error of the template's own making (raise_exception).
  Value refuse(std::string_view message);
  void set_line(int line) { line_ = line; }

  /// Counts work; false, with an error, when there was too much.
  bool work(size_t bytes);

  Value string(std::string text);
  Value list(Values items, bool tuple = false);
  /// Keys must differ.
  Value dict(std::vector<std::pair<Value, Value>> entries, Kind kind = Kind::Dict);
  Value method(Value self, std::string_view name);
  Loop *new_loop();
  /// Counts memory that lives elsewhere.
  bool memory(size_t bytes);

  /// Entered by everything that recurses. False, with an error, when too deep.
  class Depth {
  public:
    explicit Depth(Machine &machine) : machine_(machine) { ++machine_.depth_; }
    ~Depth() { --machine_.depth_; }
    Depth(const Depth &) = delete;
    Depth &operator=(const Depth &) = delete;
    explicit operator bool() const;

  private:
    Machine &machine_;
  };

private:
  absl::Status status_;
  int line_ = 0;
  int depth_ = 0;
  size_t work_ = 0;
  size_t memory_ = 0;
  std::deque<std::string> strings_;
  std::deque<List> lists_;
  std::deque<Dict> dicts_;
  std::deque<Loop> loops_;
  std::deque<Method> methods_;
};

/// "int", "str", "dict object": what a value is called in an error.
std::string_view kind_name(const Value &value);

bool truthy(const Value &value);

/// Python's ==.
bool equals(Machine &machine, const Value &a, const Value &b);

/// Python's order: negative, zero, positive. An error for values that have none.
int compare(Machine &machine, const Value &a, const Value &b);

/// The value under `key`, or null.
const Value *find(Machine &machine, const Dict &dict, const Value &key);
const Value *find(Machine &machine, const Dict &dict, std::string_view key);

/// What iterating gives: a list's items, a dict's keys, a string's characters. Empty, with an
/// error, for what does not iterate.
Values iterate(Machine &machine, const Value &value);

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_VALUE_H

// The table of everything that the interpreter executes: an opcode with all its suffixes is a form.
#ifndef QUERN_TESTS_PTX_FORMTABLE_H
#define QUERN_TESTS_PTX_FORMTABLE_H

#include "tests/ptx/Program.h"

#include <absl/status/status.h>

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace quern::ptx {

class Decoder;

/// Registers in, a register out: `operands` are the result's type and the sources'.
struct Form {
  Handler handler = nullptr;
  u8 sub = 0;
  std::vector<Type> operands;
};

/// An opcode in parts: "ld.global.v4.u32" is {"ld", "global", "v4", "u32"}.
using Parts = std::vector<std::string_view>;

/// Decodes what a table of whole names cannot say: fills in the instruction, or refuses
/// (Decoder::refuse) with what is not known about the form.
using Family = void (*)(Decoder &, const Statement &, const Parts &, Instr &);

class FormTable {
public:
  /// One form under one or several names, divided by blanks.
  void add(std::string_view names, Form form);
  /// What begins with `opcode` and is no form of its own.
  void add_family(std::string_view opcode, Family family) {
    families_[std::string(opcode)] = family;
  }

  const Form *form(std::string_view name) const;
  Family family(std::string_view opcode) const;
  const std::unordered_map<std::string, Form> &forms() const { return forms_; }
  const std::unordered_map<std::string, Family> &families() const { return families_; }

private:
  std::unordered_map<std::string, Form> forms_;
  std::unordered_map<std::string, Family> families_;
};

/// The table for this CPU, made once. `QUERN_PTX_LEVEL=plain` in the environment takes the portable
/// one.
const FormTable &form_table();
/// InvalidArgument where it says anything else.
absl::Status check_level();

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_FORMTABLE_H

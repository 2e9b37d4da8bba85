#include "tests/ptx/FormTable.h"

#include "tests/ptx/FormsControl.h"
#include "tests/ptx/FormsLevel.h"
#include "tests/ptx/Words.h"

#include <cstdlib>
#include <utility>

namespace quern::ptx {

void FormTable::add(std::string_view names, Form form) {
  for (std::string_view name : split(names, ' '))
    forms_[std::string(name)] = form;
}

const Form *FormTable::form(std::string_view name) const {
  const auto at = forms_.find(std::string(name));
  return at == forms_.end() ? nullptr : &at->second;
}

Family FormTable::family(std::string_view opcode) const {
  const auto at = families_.find(std::string(opcode));
  return at == families_.end() ? nullptr : at->second;
}

namespace {

std::string_view wanted_level() {
  const char *wanted = std::getenv("QUERN_PTX_LEVEL");
  return wanted != nullptr ? wanted : "";
}

} // namespace

absl::Status check_level() {
  const std::string_view wanted = wanted_level();
  if (wanted.empty() || wanted == "plain")
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      concat("QUERN_PTX_LEVEL is '", wanted, "'\nhint: it may be plain, or be left out"));
}

const FormTable &form_table() {
  static const FormTable table = [] {
    FormTable made;
    add_control_forms(made);
#ifndef QUERN_PTX_PLAIN_ALONE
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi2") &&
        wanted_level() != "plain") {
      avx2::add_forms(made);
      return made;
    }
#endif
    plain::add_forms(made);
    return made;
  }();
  return table;
}

} // namespace quern::ptx

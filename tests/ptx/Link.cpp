#include "tests/ptx/Link.h"

#include "tests/ptx/Lexer.h"
#include "tests/ptx/Words.h"

#include <map>
#include <utility>
#include <vector>

namespace quern::ptx {

void link(Module &module) {
  for (auto &[name, function] : module.functions)
    for (Call &call : function->calls) {
      const auto callee = module.functions.find(call.name);
      if (callee == module.functions.end())
        throw Refusal{absl::InvalidArgumentError(
            concat("PTX: ", name, " calls ", call.name, ", which is not defined"))};
      call.callee = callee->second.get();
      const auto fits = [](const std::vector<Call::Passed> &passed,
                           const std::vector<Formal> &formals) {
        bool same = passed.size() == formals.size();
        for (size_t n = 0; same && n < passed.size(); ++n)
          same = passed[n].bytes == formals[n].bytes;
        return same;
      };
      if (call.callee->entry || !fits(call.arguments, call.callee->parameters) ||
          !fits(call.results, call.callee->results))
        throw Refusal{absl::InvalidArgumentError(
            concat("PTX: ", name, " calls ", call.name, " with other parameters than it has"))};
    }
  std::map<const Function *, int> state; // 1: on the way, 2: done
  std::vector<std::pair<const Function *, size_t>> stack;
  for (auto &[name, function] : module.functions) {
    if (state[function.get()] != 0)
      continue;
    stack.push_back({function.get(), 0});
    state[function.get()] = 1;
    while (!stack.empty()) {
      auto &[at, next] = stack.back();
      if (next == at->calls.size()) {
        state[at] = 2;
        stack.pop_back();
        continue;
      }
      const Function *callee = at->calls[next++].callee;
      if (state[callee] == 1)
        throw Refusal{absl::UnimplementedError(concat("PTX: ", callee->name, " calls itself"))};
      if (state[callee] == 0) {
        state[callee] = 1;
        stack.push_back({callee, 0});
      }
    }
  }
}

} // namespace quern::ptx

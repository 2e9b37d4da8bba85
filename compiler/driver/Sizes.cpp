#include "compiler/driver/Sizes.h"

#include <nlohmann/json.hpp>

#include <cinttypes>
#include <cstdio>

namespace quern::driver {

nlohmann::ordered_json to_json(const Sizes &sizes) {
  const session::MemoryUse use = session::memory_use(sizes.model, sizes.ctx, sizes.slots);
  return {{"weights", use.weights},
          {"arena", use.arena},
          {"arena_bound", sizes.arena_bound},
          {"state_per_slot", sizes.model.slot_bytes},
          {"state_per_token", sizes.model.state_per_token()},
          {"slots", sizes.slots},
          {"ctx", sizes.ctx},
          {"code", use.code},
          {"total", use.total}};
}

void print_table(const Sizes &sizes, const char *code_note) {
  const session::MemoryUse use = session::memory_use(sizes.model, sizes.ctx, sizes.slots);
  auto row = [](const char *name, uint64_t bytes, const std::string &note = {}) {
    std::printf("%-16s %16" PRIu64 "  %10s  %s\n", name, bytes, session::human_bytes(bytes).c_str(),
                note.c_str());
  };
  std::printf("%-16s %16s\n", "", "bytes");
  row("weights", use.weights);
  row("arena", use.arena, "at least " + std::to_string(sizes.arena_bound) + " are alive at once");
  row("state", use.state,
      std::to_string(sizes.slots) + (sizes.slots == 1 ? " slot of " : " slots of ") +
          std::to_string(sizes.ctx) + " tokens");
  row("  a slot", sizes.model.slot_bytes, "of fixed size");
  row("  a token", sizes.model.state_per_token());
  row("code", use.code, code_note);
  row("total", use.total);
}

} // namespace quern::driver

#include "compiler/driver/Sizes.h"

#include "runtime/session/KvPages.h"

#include <nlohmann/json.hpp>

#include <cinttypes>
#include <cstdio>
#include <functional>

namespace quern::driver {
namespace {

// Pages of the group that a slot has.
uint64_t pages_per_slot(const Sizes &sizes, const session::KvGroupSizes &group) {
  return session::pages_per_slot(group.window, sizes.ctx, sizes.model.max_tokens);
}

nlohmann::ordered_json kv_groups(const Sizes &sizes) {
  auto out = nlohmann::ordered_json::array();
  for (const session::KvGroupSizes &group : sizes.model.kv_groups)
    out.push_back({{"layers", group.layers},
                   {"window", group.window},
                   {"page_bytes", group.page_bytes},
                   {"pages_per_slot", pages_per_slot(sizes, group)}});
  return out;
}

session::MemoryUse memory_use(const Sizes &sizes) {
  return session::memory_use(sizes.model, sizes.ctx, sizes.slots, sizes.checkpoints);
}

session::CheckpointSizes checkpoint_sizes(const Sizes &sizes) {
  return session::checkpoint_sizes(sizes.model, sizes.ctx, sizes.slots, sizes.checkpoints);
}

nlohmann::ordered_json checkpoint(const Sizes &sizes) {
  const session::CheckpointSizes planned = checkpoint_sizes(sizes);
  nlohmann::ordered_json out = {{"bytes", sizes.model.checkpoint_bytes(sizes.ctx, 1)},
                                {"a_slot", planned.per_slot},
                                {"spacing", planned.spacing}};
  if (planned.spacing != 0)
    out["recomputed"] = planned.spacing - 1;
  else
    out["recomputed"] = nullptr;
  return out;
}

// What an edit of a sequence costs, for people.
std::string checkpoint_note(const Sizes &sizes) {
  const session::CheckpointSizes planned = checkpoint_sizes(sizes);
  if (planned.spacing == 1)
    return "none are needed: state goes back to any position";
  if (planned.spacing == 0)
    return "none: after an edit all before it is computed again; --checkpoints BYTES bounds that";
  const uint64_t multiples = (sizes.ctx - 1) / planned.spacing;
  return std::to_string(planned.per_slot) + (sizes.slots == 1 ? "" : " a slot") + ", one every " +
         std::to_string(planned.spacing) + " tokens and " +
         std::to_string(planned.per_slot - multiples) + " marked: an edit recomputes at most " +
         std::to_string(planned.spacing - 1) + " tokens before it";
}

using Row = std::function<void(const char *name, uint64_t bytes, const std::string &note)>;

void print_state(const Sizes &sizes, const session::MemoryUse &use, const Row &row) {
  row("state", use.state,
      std::to_string(sizes.slots) + (sizes.slots == 1 ? " slot of " : " slots of ") +
          std::to_string(sizes.ctx) + " tokens");
  row("  a slot", sizes.model.state_per_slot(sizes.ctx), "whatever it holds");
  row("  a token", sizes.model.state_per_token(), "beyond that");
  for (const session::KvGroupSizes &group : sizes.model.kv_groups) {
    const uint64_t pages = pages_per_slot(sizes, group);
    row(group.window == 0 ? "  all positions" : "  last positions",
        sizes.slots * pages * group.page_bytes,
        std::to_string(group.layers) + (group.layers == 1 ? " layer" : " layers") +
            (group.window == 0 ? "" : " with a window of " + std::to_string(group.window)) + ": " +
            std::to_string(pages) + " pages a slot, of " + std::to_string(QUERN_KV_PAGE) +
            " positions and " + std::to_string(group.page_bytes) + " bytes");
  }
  row("checkpoints", use.checkpoints, checkpoint_note(sizes));
  if (const uint64_t one = sizes.model.checkpoint_bytes(sizes.ctx, 1); one != 0)
    row("  a checkpoint", one, "of a slot");
}

} // namespace

nlohmann::ordered_json to_json(const Sizes &sizes) {
  const session::MemoryUse use = memory_use(sizes);
  nlohmann::ordered_json json = {{"target", sizes.target},
                                 {"weights", use.weights},
                                 {"arena", use.arena},
                                 {"arena_bound", sizes.arena_bound},
                                 {"state_per_slot", sizes.model.state_per_slot(sizes.ctx)},
                                 {"state_per_token", sizes.model.state_per_token()},
                                 {"slots", sizes.slots},
                                 {"ctx", sizes.ctx},
                                 {"code", use.code},
                                 {"checkpoints", use.checkpoints},
                                 {"checkpoint", checkpoint(sizes)},
                                 {"staging", use.staging},
                                 {"total", use.total},
                                 {"kv_groups", kv_groups(sizes)}};
  for (const EntrySize &size : sizes.entry_sizes)
    json["sizes"].push_back({{"name", size.name},
                             {"most", size.most},
                             {"default", size.is_default},
                             {"counted", size.counted}});
  for (const LargeBuffer &buffer : sizes.largest)
    json["largest"].push_back({{"name", buffer.name}, {"bytes", buffer.bytes}});
  return json;
}

nlohmann::ordered_json to_json(std::span<const Sizes> targets) {
  nlohmann::ordered_json json = to_json(targets.front());
  if (targets.size() > 1)
    for (const Sizes &sizes : targets)
      json["targets"].push_back(to_json(sizes));
  return json;
}

void print_table(const Sizes &sizes, const char *code_note) {
  const session::MemoryUse use = memory_use(sizes);
  auto row = [](const char *name, uint64_t bytes, const std::string &note = {}) {
    std::printf("%-16s %16" PRIu64 "  %10s  %s\n", name, bytes, session::human_bytes(bytes).c_str(),
                note.c_str());
  };
  std::printf("%-16s %16s\n", sizes.target.c_str(), "bytes");
  row("weights", use.weights);
  row("arena", use.arena, "at least " + std::to_string(sizes.arena_bound) + " are alive at once");
  for (const LargeBuffer &buffer : sizes.largest)
    row("  of it", buffer.bytes, buffer.name);
  if (sizes.model.max_tokens != 0) // else nothing is carried from call to call
    print_state(sizes, use, row);
  row("code", use.code, code_note);
  if (use.staging != 0)
    row("staging", use.staging, "steps and their results, in the device's memory");
  row("total", use.total);
  for (const EntrySize &size : sizes.entry_sizes)
    std::printf("%-16s %16" PRIu64 "  %10s  %s\n", size.name.c_str(), size.most, "at most",
                size.counted      ? "the model counts it"
                : size.is_default ? ("by default; --dim " + size.name + "=MAX").c_str()
                                  : "");
}

} // namespace quern::driver

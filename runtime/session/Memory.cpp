#include "runtime/session/Memory.h"

#include "runtime/session/KvPages.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <bit>
#include <fstream>
#include <limits>

namespace quern::session {
namespace {

constexpr std::string_view kHost = "cpu"; // the target that works in the host's memory
constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

uint64_t saturating_add(uint64_t a, uint64_t b) { return a > kMax - b ? kMax : a + b; }
uint64_t saturating_multiply(uint64_t a, uint64_t b) {
  return a != 0 && b > kMax / a ? kMax : a * b;
}

// The number after `key` in a file of "key number" lines; `otherwise` if there is none.
uint64_t read_number(const char *path, std::string_view key, uint64_t otherwise) {
  std::ifstream file(path);
  std::string word, rest;
  uint64_t number = 0;
  while (file >> word >> number) {
    if (word == key)
      return number;
    std::getline(file, rest);
  }
  return otherwise;
}

// A control group's limit less what it holds; kMax where it has none. Cached file pages count as
// use there, but give way when memory is asked for.
uint64_t control_group_room() {
  uint64_t limit = 0, used = 0;
  std::ifstream limit_file("/sys/fs/cgroup/memory.max"), used_file("/sys/fs/cgroup/memory.current");
  if (!(limit_file >> limit) || !(used_file >> used)) // "max" is no number
    return kMax;
  used -= std::min(used, read_number("/sys/fs/cgroup/memory.stat", "file", 0));
  return limit - std::min(limit, used);
}

uint64_t machine_room() {
  const uint64_t kib = read_number("/proc/meminfo", "MemAvailable:", kMax);
  return kib == kMax ? kMax : kib * 1024;
}

} // namespace

ModelSizes model_sizes(const artifact::Manifest &manifest, std::string_view target) {
  ModelSizes sizes;
  for (const artifact::Entry *entry : artifact::items(manifest.entries()))
    for (const artifact::Bucket *bucket : artifact::items(entry->buckets()))
      if (artifact::text(bucket->target()) == target)
        sizes.arena = std::max<uint64_t>(sizes.arena, bucket->arena());
  sizes.slot_bytes = manifest.slot_bytes();
  sizes.max_tokens = manifest.max_tokens();
  sizes.max_seqs = manifest.max_seqs();
  for (const artifact::KvGroup *group : artifact::items(manifest.kv_groups()))
    sizes.kv_groups.push_back({0, group->window(), group->page_bytes()});
  for (const artifact::State *state : artifact::items(manifest.states()))
    if (state->kind() == artifact::StateKind::kv)
      ++sizes.kv_groups[state->group()].layers;
  if (target != kHost)
    sizes.staging = device::staging_sizes(manifest, target);
  return sizes;
}

ModelSizes model_sizes(const artifact::Artifact &artifact, std::string_view variant) {
  std::string_view target;
  for (const artifact::Variant *known : artifact::items(artifact.manifest().variants()))
    if (artifact::text(known->name()) == variant)
      target = artifact::text(known->target());
  ModelSizes sizes = model_sizes(artifact.manifest(), target);
  sizes.weights = artifact.weights_bytes();
  sizes.code = artifact.code(variant).size();
  return sizes;
}

uint64_t ModelSizes::state_per_slot(uint64_t ctx) const {
  uint64_t bytes = slot_bytes;
  for (const KvGroupSizes &group : kv_groups)
    if (group.window != 0)
      bytes =
          saturating_add(bytes, saturating_multiply(pages_per_slot(group.window, ctx, max_tokens),
                                                    group.page_bytes));
  return bytes;
}

uint64_t ModelSizes::state_per_token() const {
  uint64_t bytes = 0;
  for (const KvGroupSizes &group : kv_groups)
    if (group.window == 0)
      bytes = saturating_add(bytes, group.page_bytes / QUERN_KV_PAGE);
  return bytes;
}

uint64_t ModelSizes::checkpoint_bytes(uint64_t ctx, uint64_t count) const {
  uint64_t bytes = saturating_multiply(slot_bytes, count);
  for (const KvGroupSizes &group : kv_groups)
    if (group.window != 0)
      bytes = saturating_add(
          bytes, saturating_multiply(pages_of_checkpoints(group.window, ctx, max_tokens, count),
                                     group.page_bytes));
  return bytes;
}

CheckpointSizes checkpoint_sizes(const ModelSizes &sizes, uint64_t ctx, uint64_t slots,
                                 uint64_t budget) {
  if (sizes.checkpoint_bytes(ctx, 1) == 0)
    return {.spacing = 1};
  if (budget == 0 || ctx == 0)
    return {};
  for (uint64_t spacing = 256;; spacing *= 2) {
    const uint64_t multiples = (ctx - 1) / spacing; // where a token may still follow
    for (const uint64_t count : {multiples + 2, multiples + 1})
      if (const uint64_t bytes = saturating_multiply(slots, sizes.checkpoint_bytes(ctx, count));
          bytes <= budget)
        return {spacing, count, bytes};
    if (multiples == 0)
      return {};
  }
}

absl::Status check_checkpoints(const ModelSizes &sizes, uint64_t ctx, uint64_t slots,
                               uint64_t budget) {
  if (budget == 0 || ctx == 0 || checkpoint_sizes(sizes, ctx, slots, budget).spacing != 0)
    return absl::OkStatus();
  const uint64_t least = saturating_multiply(slots, sizes.checkpoint_bytes(ctx, 1));
  return absl::InvalidArgumentError(
      absl::StrCat("--checkpoints ", budget, " has no room for one of each slot, which takes ",
                   human_bytes(least), "\nhint: --checkpoints ", least, " or more, or 0 for none"));
}

MemoryUse memory_use(const ModelSizes &sizes, uint64_t ctx, uint64_t slots, uint64_t budget) {
  MemoryUse use;
  use.weights = sizes.weights;
  use.code = sizes.code;
  use.arena = sizes.arena;
  const uint64_t growing = saturating_multiply(
      pages_for(ctx), saturating_multiply(QUERN_KV_PAGE, sizes.state_per_token()));
  use.state = saturating_multiply(slots, saturating_add(sizes.state_per_slot(ctx), growing));
  use.checkpoints = checkpoint_sizes(sizes, ctx, slots, budget).bytes;
  use.staging = sizes.staging.total(pages_for(ctx));
  for (const uint64_t part :
       {use.weights, use.code, use.arena, use.state, use.checkpoints, use.staging})
    use.total = saturating_add(use.total, part);
  return use;
}

uint64_t context_that_fits(const ModelSizes &sizes, uint64_t ctx, uint64_t slots, uint64_t ceiling,
                           uint64_t budget) {
  if (memory_use(sizes, ctx, slots, budget).total <= ceiling)
    return ctx;
  // Without checkpoints the total never falls as the context grows, by whole pages: so halving
  // finds the last that fits. With them it finds one that does.
  uint64_t fits = 0, too_many = pages_for(ctx);
  while (too_many - fits > 1) {
    const uint64_t pages = fits + (too_many - fits) / 2;
    (memory_use(sizes, pages * QUERN_KV_PAGE, slots, budget).total <= ceiling ? fits : too_many) =
        pages;
  }
  return fits * QUERN_KV_PAGE;
}

namespace {

// The largest power of two below max_tokens of which a step's results leave room for the rest; 0:
// there is none. What else would be smaller for shorter steps, the arena above all, is taken to be
// as large.
uint64_t step_that_fits(const ModelSizes &sizes, uint64_t ctx, uint64_t slots, uint64_t ceiling,
                        uint64_t budget) {
  constexpr uint64_t kAlignments = 4096; // of results: what rounding adds to a share of them
  if (sizes.max_tokens < 2)
    return 0;
  ModelSizes shorter = sizes;
  for (uint64_t tokens = std::bit_floor(sizes.max_tokens - 1);
       tokens != 0 && tokens >= sizes.max_seqs; tokens /= 2) {
    shorter.staging.results = std::min(
        sizes.staging.results,
        saturating_add(saturating_multiply(sizes.staging.results / sizes.max_tokens + 1, tokens),
                       kAlignments));
    if (memory_use(shorter, ctx, slots, budget).total <= ceiling)
      return tokens;
  }
  return 0;
}

// Why not even a page of context fits, and what to change.
std::string no_context_hint(const ModelSizes &sizes, uint64_t ctx, uint64_t slots, uint64_t ceiling,
                            uint64_t budget) {
  if (sizes.max_tokens == 0 && sizes.state_per_slot(ctx) == 0)
    return "compile with smaller sizes: --dim NAME=MAX; quern plan says which there are";
  std::string hint = absl::StrCat("no context fits: weights, arena",
                                  sizes.staging.results != 0 ? ", code and staging" : " and code",
                                  " alone take ", human_bytes(memory_use(sizes, 0, slots).total));
  if (const uint64_t tokens = step_that_fits(sizes, ctx, slots, ceiling, budget))
    absl::StrAppend(&hint, "; compiled with --max-tokens ", tokens, " it would fit");
  else if (const uint64_t few = step_that_fits(sizes, QUERN_KV_PAGE, slots, ceiling, budget))
    absl::StrAppend(&hint, "; compiled with --max-tokens ", few, " it would fit with -c ",
                    QUERN_KV_PAGE);
  else if (sizes.staging.results != 0)
    absl::StrAppend(&hint, ", of which a smaller --max-tokens takes less");
  return hint;
}

} // namespace

absl::Status check_fits(const ModelSizes &sizes, uint64_t ctx, uint64_t slots, uint64_t ceiling,
                        std::string_view what, const Needed &needed, uint64_t budget) {
  const MemoryUse use = memory_use(sizes, ctx, slots, budget);
  if (use.total <= ceiling)
    return absl::OkStatus();
  const uint64_t fits = context_that_fits(sizes, ctx, slots, ceiling, budget);
  std::string hint;
  const uint64_t fewest = std::max<uint64_t>(1, needed.slots);
  if (budget != 0 && memory_use(sizes, ctx, slots).total <= ceiling)
    hint = absl::StrCat("without --checkpoints it would fit, or with no more than ",
                        ceiling - memory_use(sizes, ctx, slots).total);
  else if (fits > 0 && fits >= needed.ctx)
    hint = absl::StrCat("-c ", fits, " would fit");
  else if (slots > fewest && memory_use(sizes, ctx, fewest, budget).total <= ceiling)
    hint = absl::StrCat("--slots ", fewest, " would fit");
  else if (fits > 0 || (slots > 1 && memory_use(sizes, ctx, 1, budget).total <= ceiling))
    hint = absl::StrCat("ask for less: ", needed.ctx, " positions of ", fewest,
                        " sequences do not fit");
  else
    hint = no_context_hint(sizes, ctx, slots, ceiling, budget);
  return absl::ResourceExhaustedError(
      absl::StrCat("needs ", human_bytes(use.total), " (", use.total, " bytes: weights ",
                   use.weights, ", arena ", use.arena, ", state ", use.state, ", code ", use.code,
                   use.checkpoints != 0 ? absl::StrCat(", checkpoints ", use.checkpoints) : "",
                   use.staging != 0 ? absl::StrCat(", staging ", use.staging) : "", "), ",
                   std::string(what), " ", human_bytes(ceiling), "\nhint: ", hint));
}

std::string human_bytes(uint64_t bytes) {
  constexpr const char *kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes);
  int unit = 0;
  for (; value >= 1024; ++unit)
    value /= 1024;
  return unit == 0 ? absl::StrCat(bytes, " B") : absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

uint64_t available_memory() { return std::min(machine_room(), control_group_room()); }

} // namespace quern::session

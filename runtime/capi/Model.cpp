// Opening models, and what they are.
#include "runtime/capi/Handles.h"

#include <algorithm>
#include <cstring>

using quern::capi::guarded;

namespace {

// The caller's options, whose struct may be older (shorter) or newer than ours: what it lacks is 0.
quern::session::EngineOptions engine_options(const QuernOptions *given) {
  QuernOptions options = {};
  if (given)
    std::memcpy(&options, given, std::min(given->size, sizeof options));
  quern::session::EngineOptions result;
  if (options.device)
    result.device = options.device;
  if (options.variant)
    result.variant = options.variant;
  result.ctx = options.ctx;
  result.slots = options.slots != 0 ? options.slots : 1;
  result.memory = options.memory;
  result.threads = options.threads;
  result.checkpoints = options.checkpoints;
  return result;
}

absl::Status open(const char *path, const QuernOptions *options, QuernModel **model) {
  if (!path || !model)
    return absl::InvalidArgumentError("quern_open needs a path and a place for the model");
  *model = nullptr;
  auto engine = quern::session::Engine::open(path, engine_options(options));
  if (!engine.ok())
    return engine.status();
  auto opened = std::make_unique<QuernModel>();
  opened->engine = *std::move(engine);
  const auto bytes = opened->engine->artifact().tokenizer();
  if (!bytes.empty()) {
    auto spec = quern::text::deserialize(
        std::string_view(reinterpret_cast<const char *>(bytes.data()), bytes.size()));
    if (!spec.ok())
      return spec.status();
    auto tokenizer = quern::text::Tokenizer::create(*std::move(spec));
    if (!tokenizer.ok())
      return tokenizer.status();
    opened->tokenizer = *std::move(tokenizer);
  }
  *model = opened.release();
  return absl::OkStatus();
}

} // namespace

extern "C" {

QuernStatus quern_open(const char *path, const QuernOptions *options, QuernModel **model) {
  return guarded([&] { return open(path, options, model); });
}

void quern_close(QuernModel *model) { delete model; }

void quern_memory(const QuernModel *model, QuernMemory *memory) {
  const quern::session::MemoryUse &use = model->engine->memory();
  *memory = {use.weights, use.arena, use.state, use.code, use.total, use.staging};
}

uint32_t quern_vocab(const QuernModel *model) { return model->engine->vocab(); }
uint64_t quern_ctx(const QuernModel *model) { return model->engine->ctx(); }
const char *quern_variant(const QuernModel *model) { return model->engine->variant().c_str(); }
}

// quern eval: perplexity on a text, and the distance from another artifact.
#include "compiler/driver/Evaluate.h"
#include "compiler/driver/Verbs.h"
#include "runtime/cli/Model.h"
#include "runtime/cli/Report.h"

#include <absl/strings/str_cat.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace quern::driver {
namespace {

// Longer windows take time and change little.
constexpr uint64_t kWindow = 2048;

struct EvalOptions {
  cli::ModelOptions model;
  std::string text;
  std::string against;
  bool json = false;
};

absl::StatusOr<Evaluation> run(const EvalOptions &options) {
  auto artifact = artifact::Artifact::open(options.model.model);
  if (!artifact.ok())
    return artifact.status();
  auto tokenizer = cli::load_tokenizer(**artifact);
  if (!tokenizer.ok())
    return tokenizer.status();
  auto text = cli::read_text(options.text);
  if (!text.ok())
    return text.status();
  cli::note_byte_order_mark(options.text, *text);
  auto tokens = (*tokenizer)->encode(*text, {.add_special = false, .parse_special = false});
  if (!tokens.ok())
    return tokens.status();

  session::EngineOptions engine_options = options.model.engine();
  if (engine_options.ctx == 0)
    engine_options.ctx = std::min<uint64_t>(kWindow, (*artifact)->manifest().context());
  auto engine = session::Engine::open(options.model.model, engine_options);
  if (!engine.ok())
    return engine.status();
  std::unique_ptr<session::Engine> reference;
  if (!options.against.empty()) {
    engine_options.variant.clear(); // of the other artifact: what runs best
    auto opened = session::Engine::open(options.against, engine_options);
    if (!opened.ok())
      return opened.status();
    reference = *std::move(opened);
    if (reference->vocab() != (*engine)->vocab())
      return absl::FailedPreconditionError(
          absl::StrCat(options.against, ": its vocabulary has ", reference->vocab(),
                       " tokens, and ", options.model.model, "'s has ", (*engine)->vocab()));
  }
  return evaluate(**engine, reference.get(), *tokens, (*tokenizer)->spec().prefix_ids,
                  engine_options.ctx);
}

} // namespace

int eval(Args args) {
  EvalOptions options;
  const cli::Command command{
      "quern eval -m FILE --text FILE [--against FILE2] [flags]",
      "Says how well a model predicts a text (perplexity) and, with --against, how far it is from "
      "another\nartifact of the same model: KL(FILE2 || FILE) in nats a token, and how often both "
      "agree on the likeliest token.\nThe text is cut into windows of -c tokens (default: 2048).",
      options.model.flags() +
          std::vector<cli::Flag>{
              {"--text", "FILE", "the text; - is standard input", &options.text, true},
              {"--against", "FILE2", "another artifact, such as one with --quant f32",
               &options.against},
              {"--json", "", "print one JSON object", &options.json}},
      "quern eval -m int4.quern --text README.md --against keep.quern"};
  if (auto code = cli::parse(command, args))
    return *code;
  if (auto code = cli::first_mistake({options.model.check()}))
    return *code;
  const auto result = run(options);
  if (!result.ok())
    return cli::fail(result.status());
  if (result->tokens == 0)
    return cli::fail(absl::InvalidArgumentError(
        absl::StrCat(options.text, ": too short, there is no token to predict")));
  const double agreement =
      static_cast<double>(result->top1_equal) / static_cast<double>(result->tokens);
  if (options.json) {
    nlohmann::ordered_json json = {{"tokens", result->tokens},
                                   {"perplexity", result->perplexity()}};
    if (!options.against.empty())
      json["against"] = {{"perplexity", result->reference_perplexity()},
                         {"mean_kl", result->mean_kl()},
                         {"p99_kl", result->kl_quantile(0.99)},
                         {"max_kl", result->max_kl()},
                         {"top1_agreement", agreement}};
    cli::print_json(json);
    return cli::kDone;
  }
  std::printf("tokens          %llu\nperplexity      %.4f\n",
              static_cast<unsigned long long>(result->tokens), result->perplexity());
  if (!options.against.empty())
    std::printf("against         %s, perplexity %.4f\nmean KL         %.6f\np99 KL          %.6f\n"
                "max KL          %.6f\ntop-1 agreement %.4f\n",
                options.against.c_str(), result->reference_perplexity(), result->mean_kl(),
                result->kl_quantile(0.99), result->max_kl(), agreement);
  return cli::kDone;
}

} // namespace quern::driver

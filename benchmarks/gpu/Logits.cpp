// quern-gpu-kit logits: a model's logits over prompts, single tokens and batches, written by one
// device and compared by another.
#include "benchmarks/gpu/Machine.h"
#include "runtime/cli/Flags.h"
#include "runtime/cli/Report.h"
#include "runtime/session/Engine.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

namespace quern::kit {
namespace {

using session::Engine;
using session::Rows;
using session::SequenceStep;

struct Said {
  std::vector<float> logits; ///< [rows][vocab]
  uint32_t vocab = 0;
  bool greedy = true; ///< what a greedy step chose is the logits' largest
};

// A prompt and single tokens of one sequence, a prompt of another, both together: every kind of
// bucket.
absl::StatusOr<Said> say(Engine &engine) {
  Said said;
  said.vocab = engine.vocab();
  if (said.vocab == 0)
    return absl::FailedPreconditionError("it is no language model");
  uint32_t state = 12345;
  const auto token = [&] {
    state = state * 1664525 + 1013904223;
    return static_cast<int32_t>((state >> 8) % said.vocab);
  };
  const auto step = [&](std::span<const SequenceStep> batch) {
    uint64_t rows = 0;
    for (const SequenceStep &sequence : batch)
      rows += sequence.num_rows();
    const size_t at = said.logits.size();
    said.logits.resize(at + rows * said.vocab);
    return engine.step(batch, std::span(said.logits).subspan(at));
  };
  const auto first = engine.create_slot(), second = engine.create_slot();
  for (const auto *slot : {&first, &second})
    if (!slot->ok())
      return slot->status();
  const std::vector<int32_t> prompt = {token(), token(), token(), token(), token(), token()};
  const std::vector<int32_t> other = {token(), token(), token()};
  absl::Status status = step({{SequenceStep{*first, prompt, Rows::all}}});
  for (int i = 0; status.ok() && i < 3; ++i) {
    const int32_t next = token();
    status = step({{SequenceStep{*first, {&next, 1}, Rows::last}}});
  }
  if (status.ok())
    status = step({{SequenceStep{*second, other, Rows::last}}});
  for (int i = 0; status.ok() && i < 2; ++i) {
    const int32_t a = token(), b = token();
    const SequenceStep both[] = {{*first, {&a, 1}, Rows::last}, {*second, {&b, 1}, Rows::last}};
    status = step(both);
  }
  if (!status.ok())
    return status;
  // The same step twice, once without logits.
  const auto fork = engine.fork(*first);
  if (!fork.ok())
    return fork.status();
  const int32_t next = token();
  status = step({{SequenceStep{*first, {&next, 1}, Rows::last}}});
  if (!status.ok())
    return status;
  std::vector<float> scratch(said.vocab);
  const auto chosen = engine.step_greedy(*fork, next, scratch);
  if (!chosen.ok())
    return chosen.status();
  const auto row = said.logits.end() - said.vocab;
  said.greedy = *chosen == std::max_element(row, said.logits.end()) - row;
  return said;
}

absl::StatusOr<std::vector<float>> read_floats(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  if (!in || bytes.empty() || bytes.size() % sizeof(float) != 0)
    return absl::NotFoundError(absl::StrCat(path, " has no logits"));
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), bytes.size());
  return floats;
}

struct Difference {
  uint64_t rows = 0, same_choice = 0;
  double most = 0; ///< of any logit, in root mean squares of its row
};

Difference compare(const Said &said, const std::vector<float> &reference) {
  Difference difference;
  for (size_t at = 0; at < reference.size(); at += said.vocab) {
    const float *given = said.logits.data() + at, *wanted = reference.data() + at;
    double square = 0, most = 0;
    for (uint32_t i = 0; i < said.vocab; ++i) {
      square += double{wanted[i]} * wanted[i];
      const double apart = std::fabs(double{given[i]} - wanted[i]);
      most = std::isnan(apart) ? INFINITY : std::max(most, apart);
    }
    const double share = most / std::sqrt(square / said.vocab + 1e-30);
    // Whatever is no number is as wrong as can be.
    difference.most = std::isnan(share) ? INFINITY : std::max(difference.most, share);
    difference.same_choice += std::max_element(given, given + said.vocab) - given ==
                              std::max_element(wanted, wanted + said.vocab) - wanted;
    ++difference.rows;
  }
  return difference;
}

absl::Status run(const std::string &model, session::EngineOptions options,
                 const std::string &output, const std::string &reference, double tolerance) {
  options.slots = 3;
  auto engine = Engine::open(model, options);
  if (!engine.ok())
    return engine.status();
  const auto said = say(**engine);
  if (!said.ok())
    return said.status();
  if (!output.empty()) {
    std::ofstream out(output, std::ios::binary);
    out.write(reinterpret_cast<const char *>(said->logits.data()),
              static_cast<std::streamsize>(said->logits.size() * sizeof(float)));
    if (!out.flush())
      return absl::InternalError(absl::StrCat(output, " cannot be written"));
  }
  if (reference.empty())
    return absl::OkStatus();
  const auto wanted = read_floats(reference);
  if (!wanted.ok())
    return wanted.status();
  if (wanted->size() != said->logits.size())
    return absl::DataLossError(absl::StrCat(reference, " has ", wanted->size(), " logits, not ",
                                            said->logits.size(), ": it is of another model"));
  const Difference difference = compare(*said, *wanted);
  const bool holds = said->greedy && difference.most <= tolerance;
  const nlohmann::ordered_json line = {{"model", model},
                                       {"device", (*engine)->device().name()},
                                       {"variant", (*engine)->variant()},
                                       {"rows", difference.rows},
                                       {"most_of_rms", difference.most},
                                       {"tolerance", tolerance},
                                       {"same_choice", difference.same_choice},
                                       {"greedy_is_largest", said->greedy},
                                       {"holds", holds}};
  std::printf("%s\n", line.dump().c_str());
  return holds ? absl::OkStatus()
               : absl::DataLossError(absl::StrCat(model, ": its logits are not the reference's"));
}

} // namespace

int logits(std::span<const char *const> args) {
  session::EngineOptions options;
  std::string model, output, reference;
  double tolerance = 1e-3;
  const cli::Command command{
      "quern-gpu-kit logits -m FILE [--device D] [-o FILE] [--reference FILE]",
      "Runs a few steps of a model, writes their logits, compares them.",
      {{"-m, --model", "FILE", "the artifact (.quern)", &model, true},
       {"--device", "D", "cpu, cuda, cuda:1 or ptx", &options.device},
       {"--variant", "V", "force a variant", &options.variant},
       {"-o, --output", "FILE", "the logits, as float32", &output},
       {"--reference", "FILE", "such logits, to compare with", &reference},
       {"--tolerance", "X", "most that a logit may be off, in root mean squares", &tolerance}},
      "quern-gpu-kit logits -m tiny.quern --device cuda --reference tiny.logits"};
  if (auto code = cli::parse(command, args))
    return *code;
  const absl::Status status = run(model, options, output, reference, tolerance);
  return status.ok() ? cli::kDone : cli::fail(status);
}

} // namespace quern::kit

// Artifacts around the fake model, written by a few lines of their own: the reader is tested
// against the specification, not against the compiler's writer.
#ifndef QUERN_TESTS_RUNTIME_FAKE_FAKEARTIFACT_H
#define QUERN_TESTS_RUNTIME_FAKE_FAKEARTIFACT_H

#include "runtime/abi/StepArgs.h"
#include "runtime/artifact/Artifact.h"
#include "tests/runtime/fake/FakeCode.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace quern::test {

// An expression as the manifest has it.
struct FakeExpression {
  std::string text;
  std::vector<artifact::SizeStep> steps;
  uint64_t most = 0;
};

// What FakeModel.c's quern_main_sized takes: ids [b, s], mask [b, t], tail [s + 2, 3] -> y [b*s,
// 3], half [floordiv(s, 2)]; s and t have to be equal.
struct FakeSizes {
  std::vector<std::pair<std::string, uint64_t>> sizes = {{"b", 4}, {"s", 8}, {"t", 100}};
  FakeExpression b, s, t, tail, rows, half;
  uint32_t max_tokens = 1;
  std::string symbol = "s"; // of ids, for people
  FakeSizes();
};

// What to leave out or change.
struct FakeOptions {
  uint32_t context = 200;
  uint32_t max_tokens = 16;
  const char *state_format = "f32"; // null: it is not said
  uint64_t source_hash = 42;
  bool recurrent = true; // false: kv only, so that slots can be truncated
  uint32_t window = 0;   // of the second kv group; 0: it keeps all positions
  bool tokenizer = true;
  bool proof = true;
  bool wrong_proof = false; // one reference logit off by 1
  bool nan_proof = false;   // and one not a number, with a note of why
  bool main_entry = false;  // entry `main` instead of `step`
  bool sized_entry = false; // and its caller chooses sizes
  std::function<void(FakeSizes &)> change_sizes = nullptr; // of that
  // Or it is FakeModel.c's quern_main_counted: ids [b, s] -> kept [n], the size that it counts.
  bool counted_entry = false;
  artifact::FaultKind fault = artifact::FaultKind::index; // that it finds
  std::vector<artifact::SizeStep> counted_bound = {       // b*s
      {0, artifact::SizeOp::size},
      {1, artifact::SizeOp::size},
      {0, artifact::SizeOp::multiply}};
  std::string symbol = "quern_step_prefill"; // of the prefill bucket
  std::vector<std::string> features = {"sse4.2"};
  uint32_t abi_version = QUERN_ABI_VERSION;
  uint64_t buffer_offset = 0;  // of the one buffer in the plan
  uint32_t kernel = 0;         // that the one dispatch names
  uint32_t dispatch_state = 1; // and that it works on, with state 0
  uint32_t prefill_tokens = 16;
  std::string target = "cpu"; // of the variant
  std::string kernel_target = "cpu";
  std::string bucket_target = "cpu";
  bool bos = false;  // the end of text also goes before a text, and begins the chat template
  bool made = false; // all weights but the last and the window are made, not held
  std::function<void(std::vector<artifact::MadeWeight> &, std::vector<artifact::KeptWeight> &)>
      change_made = nullptr; // of that
  bool cuda = false;         // a variant sm_80 too, with buckets and a kernel of its own
  std::function<void(FakeCode &)> change_code = nullptr;             // of that
  std::function<void(std::vector<uint8_t> &)> damage_code = nullptr; // and what became of it
};

inline float fake_weight(uint32_t v) { return static_cast<float>(v % 5) / 8; }

// How weights are made, where they are.
std::vector<artifact::MadeWeight> fake_made();

// The file's bytes.
std::vector<uint8_t> fake_artifact(const FakeOptions &options = {});

// The logits after `tokens`, [vocab], and after each prefix of them, [T, vocab].
std::vector<float> fake_logits(std::span<const int32_t> tokens, bool recurrent = true,
                               uint32_t window = 0);
std::vector<float> fake_logits_of_all(std::span<const int32_t> tokens, bool recurrent = true,
                                      uint32_t window = 0);

// Writes a file into the test's temporary folder and returns its path. `name` is unique a test.
std::string write_file(const std::string &name, std::span<const uint8_t> bytes);
std::string write_fake(const std::string &name, const FakeOptions &options = {});
std::vector<uint8_t> read_file(const std::string &path);
// A path in that folder; what was there is removed.
std::string fresh_path(const std::string &name);

} // namespace quern::test

#endif // QUERN_TESTS_RUNTIME_FAKE_FAKEARTIFACT_H

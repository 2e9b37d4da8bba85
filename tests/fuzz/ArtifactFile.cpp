// An artifact: opened, validated, and used as the programs use it, but for running its code. Code
// is trusted as any program is; everything that says where it is and what it takes is not.
#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/SizeExpression.h"
#include "runtime/device/Staging.h"
#include "runtime/device/cuda/CodeSection.h"
#include "runtime/session/Engine.h"
#include "runtime/text/Tokenizer.h"
#include "tests/fuzz/ArtifactParts.h"
#include "tests/fuzz/Fuzz.h"
#include "tests/fuzz/UseTokenizer.h"

#include <cstring>
#include <random>

namespace {

using namespace quern;
using quern::fuzz::require;

void read_proof(const artifact::Artifact &artifact) {
  const artifact::Proof *proof = artifact.proof();
  if (!proof)
    return;
  size_t read = 0;
  for (const artifact::TokenizerVector *vector : artifact::items(proof->tokenizer()))
    read += artifact::text(vector->text()).size() + artifact::items(vector->tokens()).size();
  for (const artifact::LogitsVector *vector : artifact::items(proof->logits()))
    read += artifact::items(vector->tokens()).size() + artifact::items(vector->logits()).size();
  require(read < 8 * artifact.file_bytes(), "a proof is larger than its file");
}

/// What a GPU would be given to load and launch.
void read_cuda_code(const artifact::Artifact &artifact) {
  const artifact::Manifest &manifest = artifact.manifest();
  for (const artifact::Variant *variant : artifact::items(manifest.variants())) {
    if (artifact::text(variant->target()) != device::cuda::kTarget)
      continue;
    const auto bytes = artifact.code(artifact::text(variant->name()));
    const auto code = device::cuda::read_code(bytes, manifest, artifact.weights_bytes());
    if (!code.ok())
      continue;
    size_t operands = 0;
    for (const auto &entry : code->buckets)
      for (const device::cuda::CodeBucket &bucket : entry)
        for (const device::cuda::CodeLaunch &launch : bucket.launches) {
          operands += launch.operands.size();
          require(launch.function < code->functions.size(), "a launch of no function");
        }
    require(operands <= bytes.size() / 16, "more operands than the section holds");
    for (const device::cuda::CodeModule &module : code->modules)
      require((module.ptx ? std::strlen(module.ptx) : 0) + module.cubin.size() < bytes.size(),
              "a module is larger than its section");
  }
  (void)device::staging_sizes(manifest, device::cuda::kTarget).total(1000);
}

/// A plain entry with every size 2, as far as its inputs are then of some KiB.
void call(session::Engine &engine, const artifact::Entry &entry) {
  constexpr uint64_t kMostBytes = 1 << 16;
  const std::vector<int64_t> twos(artifact::items(entry.sizes()).size(), 2);
  const device::StepShape twice{2, 2, 2, twos};
  std::vector<uint8_t> zeros(kMostBytes);
  std::vector<session::Tensor> inputs;
  for (const artifact::TensorDesc *input : artifact::items(entry.inputs())) {
    session::Tensor &tensor =
        inputs.emplace_back(session::Tensor{input->type(), {}, zeros.data(), zeros.size()});
    for (uint32_t i = 0; i < artifact::items(input->shape()).size(); ++i) {
      const int64_t dim = artifact::items(input->shape())[i];
      const auto value = dim >= 0 || twos.empty()
                             ? absl::StatusOr<int64_t>(dim >= 0 ? dim : 2)
                             : artifact::value_of(*artifact::items(input->dims())[i], twos);
      tensor.shape.push_back(value.ok() ? *value : 0);
    }
    (void)device::tensor_bytes(*input, twice);
  }
  auto outputs = engine.output_shapes(artifact::text(entry.name()), inputs);
  if (!outputs.ok())
    return;
  std::vector<std::vector<uint8_t>> results;
  for (session::Tensor &output : *outputs) {
    if (output.bytes > kMostBytes)
      return;
    results.emplace_back(output.bytes);
    output.data = results.back().data();
  }
  (void)engine.call(artifact::text(entry.name()), inputs, *outputs);
}

/// Steps on the device that runs nothing.
void run(const std::string &path, const artifact::Artifact &artifact) {
  const auto engine =
      session::Engine::open(path, {.device = "null", .threads = 1, .memory = uint64_t{32} << 20});
  if (!engine.ok())
    return;
  if (artifact.entry("step")) {
    const auto slot = (*engine)->create_slot();
    require(slot.ok(), "a new engine has no slot");
    const int32_t tokens[] = {0, 0, 0};
    std::vector<float> logits((*engine)->vocab());
    const session::SequenceStep step{*slot, tokens, session::Rows::last};
    require((*engine)->step(std::span(&step, 1), logits).ok() == ((*engine)->ctx() >= 3),
            "a step was refused, or goes beyond the context");
  }
  for (const artifact::Entry *entry : artifact::items(artifact.manifest().entries())) {
    (void)(*engine)->output_shapes(artifact::text(entry->name()), {});
    call(**engine, *entry);
  }
}

} // namespace

void quern::fuzz::read(std::string_view bytes) {
  const MemoryFile file(bytes);
  const auto artifact = artifact::Artifact::open(file.path());
  if (!artifact.ok())
    return;
  (void)(*artifact)->verify_all_checksums();
  read_proof(**artifact);
  read_cuda_code(**artifact);
  run(file.path(), **artifact);
  const auto section = (*artifact)->tokenizer();
  const auto spec =
      text::deserialize({reinterpret_cast<const char *>(section.data()), section.size()});
  if (!spec.ok())
    return;
  // Unlike an importer's, a stored tokenizer may hold patterns that cannot be compiled.
  if (text::Tokenizer::create(*spec).ok())
    use_tokenizer(*spec, bytes.substr(0, 0));
}

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/// Changes one part of the file, and then mostly makes places and checksums right again, so that
/// what they guard is reached.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                                          unsigned seed) {
  std::minstd_rand random(seed);
  auto parts = fuzz::take_apart({data, size});
  if (parts.empty() || random() % 16 == 0)
    return LLVMFuzzerMutate(data, size, max_size);
  // Half of the time the manifest, else any of the sections.
  std::vector<uint8_t> &part = parts[random() % 2 ? 0 : random() % parts.size()];
  const size_t room = std::min<size_t>(part.size() + 4096, max_size);
  std::vector<uint8_t> changed = part;
  changed.resize(std::max(room, part.size()));
  changed.resize(LLVMFuzzerMutate(changed.data(), part.size(), changed.size()));
  part = std::move(changed);
  const std::vector<uint8_t> file = fuzz::put_together(parts, /*place=*/random() % 8 != 0);
  if (file.size() > max_size)
    return size;
  std::memcpy(data, file.data(), file.size());
  return file.size();
}

#include "tests/runtime/fake/FakeArtifact.h"

#include "runtime/abi/StepArgs.h"
#include "runtime/artifact/Layout.h"
#include "runtime/text/TokenizerSpec.h"
#include "tests/runtime/fake/FakeModel.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace quern::test {
namespace {

using namespace artifact;
using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

using Bytes = std::vector<uint8_t>;

Bytes fake_weights(const FakeOptions &options) {
  Bytes bytes((FAKE_VOCAB + 1) * sizeof(float));
  std::memcpy(&bytes[FAKE_VOCAB * sizeof(float)], &options.window, sizeof options.window);
  for (uint32_t v = 0; v < FAKE_VOCAB; ++v) {
    const float weight = fake_weight(v);
    std::memcpy(&bytes[v * sizeof weight], &weight, sizeof weight);
  }
  return bytes;
}

constexpr uint64_t kMadeBytes = (FAKE_VOCAB - 1) * sizeof(float); // a multiple of 8

// "a" is token 0, "b" 1, ... then the end of text, 26.
Bytes fake_tokenizer(bool bos) {
  text::TokenizerSpec spec;
  for (char c = 'a'; c <= 'z'; ++c) {
    spec.tokens.emplace_back(1, c);
    spec.kinds.push_back(text::TokenKind::Normal);
  }
  spec.tokens.emplace_back("<end>");
  spec.kinds.push_back(text::TokenKind::Control);
  spec.added_tokens.push_back({.content = "<end>", .id = 26, .special = true});
  spec.eos_ids = {26};
  spec.eos_token = "<end>";
  spec.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}";
  if (bos) {
    spec.bos_id = 26;
    spec.bos_token = "<end>";
    spec.prefix_ids = {26};
    spec.chat_template = "{{ bos_token }}" + spec.chat_template;
  }
  const std::string bytes = text::serialize(spec);
  return Bytes(bytes.begin(), bytes.end());
}

Bytes fake_proof(const FakeOptions &options) {
  FlatBufferBuilder builder;
  std::vector<Offset<TokenizerVector>> texts;
  if (options.tokenizer) {
    std::vector<int32_t> ids = {1, 0, 3};
    if (options.bos)
      ids.insert(ids.begin(), 26);
    texts.push_back(CreateTokenizerVectorDirect(builder, "bad", &ids));
  }
  const std::vector<int32_t> tokens = {5, 6, 7, 8, 9}, rows = {0, 4};
  std::vector<float> logits =
      fake_logits(std::span(tokens).first(1), options.recurrent, options.window);
  for (float logit : fake_logits(tokens, options.recurrent, options.window))
    logits.push_back(logit);
  if (options.wrong_proof)
    logits[FAKE_VOCAB + 3] += 1;
  std::vector<Offset<flatbuffers::String>> notes;
  if (options.nan_proof) {
    logits[FAKE_VOCAB + 3] = NAN;
    notes.push_back(builder.CreateString("up.weight has a NaN"));
  }
  std::vector<Offset<LogitsVector>> vectors = {
      CreateLogitsVectorDirect(builder, &tokens, &rows, FAKE_VOCAB, &logits, 1e-6f)};
  FinishProofBuffer(builder, CreateProofDirect(builder, &texts, &vectors, &notes));
  return Bytes(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
}

bool is_step(const FakeOptions &options) {
  return !options.main_entry && !options.sized_entry && !options.counted_entry;
}

// A call of quern_main_sized with b = 1, s = 2.
Bytes fake_call_proof(const FakeOptions &options) {
  FlatBufferBuilder builder;
  const auto tensor = [&](std::vector<int64_t> shape, const auto &values) {
    Bytes bytes(values.size() * sizeof values[0]);
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return CreateCallTensorDirect(builder, &shape, &bytes);
  };
  std::vector<float> tail(12, 2), y = {6, 6, 6, -1, -1, -1};
  if (options.wrong_proof)
    y[4] += 1;
  const std::vector<Offset<CallTensor>> inputs = {tensor({1, 2}, std::vector<int64_t>{3, 5}),
                                                  tensor({1, 2}, Bytes{1, 0}),
                                                  tensor({4, 3}, tail)};
  const std::vector<Offset<CallTensor>> outputs = {tensor({2, 3}, y),
                                                   tensor({1}, std::vector<uint16_t>{0x3f80})};
  const std::vector<Offset<CallVector>> calls = {
      CreateCallVectorDirect(builder, "main", &inputs, &outputs, 1e-6f)};
  FinishProofBuffer(builder, CreateProofDirect(builder, nullptr, nullptr, nullptr, &calls));
  return Bytes(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
}

// A call of quern_main_counted.
Bytes fake_counted_proof(const FakeOptions &options) {
  FlatBufferBuilder builder;
  const auto tensor = [&](std::vector<int64_t> shape, std::vector<int64_t> values) {
    Bytes bytes(values.size() * sizeof values[0]);
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return CreateCallTensorDirect(builder, &shape, &bytes);
  };
  const std::vector<Offset<CallTensor>> inputs = {tensor({1, 4}, {0, 7, 0, 8})};
  const std::vector<Offset<CallTensor>> outputs = {options.wrong_proof ? tensor({1}, {7})
                                                                       : tensor({2}, {7, 8})};
  const std::vector<Offset<CallVector>> calls = {
      CreateCallVectorDirect(builder, "main", &inputs, &outputs, 1e-6f)};
  FinishProofBuffer(builder, CreateProofDirect(builder, nullptr, nullptr, nullptr, &calls));
  return Bytes(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
}

struct Part {
  SectionKind kind;
  std::string name;
  Bytes bytes;
};

Offset<Bucket> make_bucket(FlatBufferBuilder &b, const FakeOptions &options, const char *name,
                           const std::string &symbol, uint32_t max_tokens, uint32_t max_seqs,
                           uint64_t arena, bool cuda) {
  std::vector<uint32_t> states = {0, options.dispatch_state};
  std::vector<Offset<FaultSite>> faults;
  if (options.counted_entry)
    faults.push_back(CreateFaultSiteDirect(b, "/table/Gather", options.fault, "n"));
  std::vector<Offset<Dispatch>> dispatches = {CreateDispatchDirect(
      b, cuda ? 1 : options.kernel, "all", 148, /*wanted_rows=*/false, /*row_flops=*/1000,
      /*position_flops=*/10, !is_step(options) ? nullptr : &states, /*row_weight_bytes=*/0,
      &faults)};
  std::vector<Offset<artifact::Buffer>> buffers = {
      CreateBufferDirect(b, "memory", options.buffer_offset, arena, 0, 0)};
  return CreateBucketDirect(b, name, symbol.c_str(), 1, max_tokens, max_seqs, arena, arena,
                            &dispatches, &buffers, cuda ? "cuda" : options.bucket_target.c_str());
}

Offset<TensorDesc> make_tensor(FlatBufferBuilder &b, const char *name, ElementType type,
                               std::vector<int64_t> shape, std::vector<std::string> symbols) {
  std::vector<Offset<flatbuffers::String>> strings;
  for (const std::string &symbol : symbols)
    strings.push_back(b.CreateString(symbol));
  return CreateTensorDescDirect(b, name, type, &shape, &strings);
}

Offset<Entry> make_step_entry(FlatBufferBuilder &b, const FakeOptions &options) {
  std::vector<Offset<TensorDesc>> inputs = {
      make_tensor(b, "tokens", ElementType::i32, {-1}, {"T"})};
  std::vector<Offset<TensorDesc>> outputs = {
      make_tensor(b, "logits", ElementType::f32, {-1, FAKE_VOCAB}, {"R", ""})};
  std::vector<Offset<Bucket>> buckets;
  for (const bool cuda : {false, true}) {
    if (cuda && !options.cuda)
      continue;
    buckets.push_back(make_bucket(b, options, "decode1", "quern_step_decode1", 1, 1, 64, cuda));
    buckets.push_back(make_bucket(b, options, "decode", "quern_step_decode", 3, 3, 128, cuda));
    buckets.push_back(
        make_bucket(b, options, "prefill", options.symbol, options.prefill_tokens, 3, 256, cuda));
  }
  return CreateEntryDirect(b, "step", &inputs, &outputs, &buckets);
}

Offset<Entry> make_main_entry(FlatBufferBuilder &b, const FakeOptions &options) {
  std::vector<Offset<TensorDesc>> inputs = {
      make_tensor(b, "x", ElementType::f32, {-1, 3}, {"T", ""}),
      make_tensor(b, "scale", ElementType::f32, {}, {})};
  std::vector<Offset<TensorDesc>> outputs = {
      make_tensor(b, "y", ElementType::f32, {-1, 3}, {"T", ""})};
  std::vector<Offset<Bucket>> buckets = {
      make_bucket(b, options, "any", "quern_main_any", 16, 1, 64, false)};
  if (options.cuda)
    buckets.push_back(make_bucket(b, options, "any", "quern_main_any", 16, 1, 64, true));
  return CreateEntryDirect(b, "main", &inputs, &outputs, &buckets);
}

Offset<SizeExpression> make_expression(FlatBufferBuilder &b, const FakeExpression &expression) {
  return CreateSizeExpressionDirect(b, expression.text.c_str(), &expression.steps, expression.most);
}

// A dimension: a number, or an expression.
struct FakeDim {
  int64_t fixed = -1;
  const FakeExpression *expression = nullptr;
};

Offset<TensorDesc> make_sized(FlatBufferBuilder &b, const char *name, ElementType type,
                              const std::vector<FakeDim> &dims) {
  std::vector<int64_t> shape;
  std::vector<Offset<flatbuffers::String>> symbols;
  std::vector<Offset<SizeExpression>> expressions;
  for (const FakeDim &dim : dims) {
    shape.push_back(dim.fixed);
    symbols.push_back(b.CreateString(dim.expression ? dim.expression->text : ""));
    expressions.push_back(make_expression(b, dim.expression ? *dim.expression : FakeExpression()));
  }
  return CreateTensorDescDirect(b, name, type, &shape, &symbols, &expressions);
}

Offset<Entry> make_sized_entry(FlatBufferBuilder &b, const FakeOptions &options) {
  FakeSizes sized;
  if (options.change_sizes)
    options.change_sizes(sized);
  const FakeDim three{3, nullptr}, ids_b{-1, &sized.b}, ids_s{-1, &sized.s};
  std::vector<Offset<TensorDesc>> inputs = {
      make_sized(b, "ids", ElementType::i64, {ids_b, ids_s}),
      make_sized(b, "mask", ElementType::boolean, {ids_b, {-1, &sized.t}}),
      make_sized(b, "tail", ElementType::f32, {{-1, &sized.tail}, three})};
  std::vector<Offset<TensorDesc>> outputs = {
      make_sized(b, "y", ElementType::f32, {{-1, &sized.rows}, three}),
      make_sized(b, "half", ElementType::bf16, {{-1, &sized.half}})};
  std::vector<Offset<Size>> sizes;
  for (const auto &[name, most] : sized.sizes)
    sizes.push_back(CreateSizeDirect(b, name.c_str(), most));
  std::vector<Offset<EqualSizes>> equal = {CreateEqualSizesDirect(
      b, make_expression(b, sized.s), make_expression(b, sized.t), "/layer.0/Add")};
  std::vector<Offset<Bucket>> buckets = {
      make_bucket(b, options, "main", "quern_main_sized", sized.max_tokens, 1, 64, false)};
  return CreateEntryDirect(b, "main", &inputs, &outputs, &buckets, &sizes, &equal);
}

Offset<Entry> make_counted_entry(FlatBufferBuilder &b, const FakeOptions &options) {
  const FakeExpression batch{"b", {{0, SizeOp::size}}, 4}, length{"s", {{1, SizeOp::size}}, 8},
      number{"n", {{2, SizeOp::size}}, 20}, bound{"b*s", options.counted_bound, 32};
  std::vector<Offset<TensorDesc>> inputs = {
      make_sized(b, "ids", ElementType::i64, {{-1, &batch}, {-1, &length}})};
  std::vector<Offset<TensorDesc>> outputs = {
      make_sized(b, "kept", ElementType::i64, {{-1, &number}})};
  std::vector<Offset<Size>> sizes = {CreateSizeDirect(b, "b", 4), CreateSizeDirect(b, "s", 8),
                                     CreateSizeDirect(b, "n", 20, make_expression(b, bound))};
  std::vector<Offset<EqualSizes>> equal;
  std::vector<Offset<Bucket>> buckets = {
      make_bucket(b, options, "main", "quern_main_counted", 1, 1, 64, false)};
  return CreateEntryDirect(b, "main", &inputs, &outputs, &buckets, &sizes, &equal);
}

Bytes make_manifest(const FakeOptions &options, const std::vector<Part> &parts,
                    const std::vector<uint64_t> &offsets) {
  FlatBufferBuilder b;
  std::vector<Offset<Section>> sections;
  for (size_t i = 0; i < parts.size(); ++i) {
    Bytes padded = parts[i].bytes;
    padded.resize(padded_to_page(padded.size()));
    sections.push_back(CreateSectionDirect(b, parts[i].kind, parts[i].name.c_str(), offsets[i],
                                           padded.size(), parts[i].bytes.size(),
                                           checksum(padded.data(), padded.size())));
  }
  std::vector<Offset<Entry>> entries = {options.counted_entry ? make_counted_entry(b, options)
                                        : options.sized_entry ? make_sized_entry(b, options)
                                        : options.main_entry  ? make_main_entry(b, options)
                                                              : make_step_entry(b, options)};
  std::vector<Offset<Kernel>> kernels = {
      CreateKernelDirect(b, "all", "linear", options.kernel_target.c_str())};
  if (options.cuda)
    kernels.push_back(CreateKernelDirect(b, "all", "linear", "cuda"));
  std::vector<int64_t> shape = {1, 1, 1};
  std::vector<Offset<State>> states;
  std::vector<Offset<KvGroup>> groups;
  if (is_step(options)) {
    states.push_back(
        CreateStateDirect(b, "kv0", StateKind::kv, &shape, 0, 0, 256, options.state_format));
    states.push_back(
        CreateStateDirect(b, "kv1", StateKind::kv, &shape, 1, 0, 512, options.state_format));
    if (options.recurrent)
      states.push_back(CreateStateDirect(b, "hash", StateKind::recurrent, &shape, 0, 0, 4,
                                         options.state_format));
    groups = {CreateKvGroup(b, 256, 0), CreateKvGroup(b, 512, options.window)};
  }
  std::vector<int64_t> weight_shape = {FAKE_VOCAB};
  std::vector<Offset<Weight>> weights = {
      CreateWeightDirect(b, "bias", "f32", "plain", &weight_shape, 0, FAKE_VOCAB * 4, 32, 0)};
  std::vector<Offset<flatbuffers::String>> features;
  for (const std::string &feature : options.features)
    features.push_back(b.CreateString(feature));
  std::vector<Offset<Variant>> variants = {
      CreateVariantDirect(b, "x86-64-v3", &features, options.target.c_str())};
  if (options.cuda)
    variants.push_back(CreateVariantDirect(b, "sm_80", nullptr, "cuda"));
  const bool step = is_step(options);
  std::vector<MadeWeight> made = fake_made();
  std::vector<KeptWeight> kept = {{kMadeBytes, 8, 0}};
  if (options.change_made)
    options.change_made(made, kept);
  FinishManifestBuffer(
      b, CreateManifestDirect(b, options.abi_version, "a test", "fake", "fake.gguf",
                              options.source_hash, false, step ? options.context : 0,
                              step ? options.max_tokens : 0, step ? 3 : 0, step ? FAKE_VOCAB : 0,
                              &sections, &entries, &kernels, &states, &groups,
                              step && options.recurrent ? 64 : 0, &weights, &variants, 74, nullptr,
                              options.made ? kMadeBytes + 8 : 0, options.made ? &made : nullptr,
                              options.made ? &kept : nullptr));
  return Bytes(b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize());
}

Bytes cuda_code(const FakeOptions &options) {
  FakeCode code = fake_code(options);
  if (options.change_code)
    options.change_code(code);
  Bytes bytes = serialize(code);
  if (options.damage_code)
    options.damage_code(bytes);
  return bytes;
}

std::filesystem::path folder() {
  static const std::filesystem::path path = [] {
    auto made = std::filesystem::temp_directory_path() / ("quern-test-" + std::to_string(getpid()));
    std::filesystem::create_directories(made);
    std::atexit([] {
      std::error_code ignored;
      std::filesystem::remove_all(std::filesystem::temp_directory_path() /
                                      ("quern-test-" + std::to_string(getpid())),
                                  ignored);
    });
    return made;
  }();
  return path;
}

} // namespace

FakeSizes::FakeSizes() {
  using enum SizeOp;
  b = {"b", {{0, size}}, 4};
  s = {"s", {{1, size}}, 8};
  t = {"t", {{2, size}}, 100};
  tail = {"s + 2", {{1, size}, {2, number}, {0, add}}, 10};
  rows = {"b*s", {{0, size}, {1, size}, {0, multiply}}, 32};
  half = {"floordiv(s, 2)", {{1, size}, {2, number}, {0, floordiv}}, 4};
}

// Floats in two panels of records of 48 bytes behind 16, each kind with bits of its own: small
// numbers of both signs.
std::vector<artifact::MadeWeight> fake_made() {
  constexpr uint64_t kFloat = 0x807fffff, kBoth = kFloat << 32 | kFloat;
  const std::array<uint64_t, 5> mask = {kBoth, kBoth, 0x007fffff007fffff, kFloat,
                                        kBoth & ~uint64_t{0xff}};
  std::array<uint64_t, 5> bits{};
  for (uint64_t kind = 0; kind < 5; ++kind)
    bits[kind] = (0x3c000000 + (kind << 24)) * 0x100000001;
  return {{0, kMadeBytes, 0x123456789abcdef, 72, 64, 16, 8, 24, 8, 16, mask, bits}};
}

std::vector<uint8_t> fake_artifact(const FakeOptions &options) {
  std::vector<Part> parts = {{SectionKind::code, "x86-64-v3", read_file(FAKE_MODEL_CODE)},
                             {SectionKind::weights, "", fake_weights(options)}};
  if (options.made)
    parts.back().bytes.erase(parts.back().bytes.begin(), parts.back().bytes.begin() + kMadeBytes);
  if (options.cuda)
    parts.push_back({SectionKind::code, "sm_80", cuda_code(options)});
  if (options.tokenizer)
    parts.push_back({SectionKind::tokenizer, "", fake_tokenizer(options.bos)});
  if (options.proof && is_step(options))
    parts.push_back({SectionKind::proof, "", fake_proof(options)});
  if (options.proof && options.sized_entry)
    parts.push_back({SectionKind::proof, "", fake_call_proof(options)});
  if (options.proof && options.counted_entry)
    parts.push_back({SectionKind::proof, "", fake_counted_proof(options)});

  // The manifest's size does not depend on the offsets in it, unless one is 0 (left out).
  std::vector<uint64_t> offsets(parts.size(), kPageBytes);
  const uint64_t manifest_bytes = make_manifest(options, parts, offsets).size();
  FileHeader header = {};
  header.magic = kMagic;
  header.version = kFormatVersion;
  header.header_bytes = sizeof header;
  header.manifest_bytes = manifest_bytes;
  header.manifest_size = padded_to_page(sizeof header + manifest_bytes) - sizeof header;
  uint64_t end = sizeof header + header.manifest_size;
  for (size_t i = 0; i < parts.size(); ++i) {
    offsets[i] = end;
    end += padded_to_page(parts[i].bytes.size());
  }
  Bytes file(end);
  const Bytes manifest = make_manifest(options, parts, offsets);
  std::memcpy(&file[sizeof header], manifest.data(), manifest.size());
  for (size_t i = 0; i < parts.size(); ++i)
    std::memcpy(&file[offsets[i]], parts[i].bytes.data(), parts[i].bytes.size());
  header.file_size = end;
  header.manifest_checksum = checksum(&file[sizeof header], header.manifest_size);
  header.header_checksum = header_checksum(header);
  std::memcpy(file.data(), &header, sizeof header);
  return file;
}

std::string fresh_path(const std::string &name) {
  const std::filesystem::path path = folder() / name;
  std::filesystem::remove_all(path);
  return path.string();
}

std::string write_file(const std::string &name, std::span<const uint8_t> bytes) {
  const std::string path = fresh_path(name);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char *>(bytes.data()), static_cast<int64_t>(bytes.size()));
  return path;
}

std::string write_fake(const std::string &name, const FakeOptions &options) {
  return write_file(name, fake_artifact(options));
}

std::vector<uint8_t> read_file(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

} // namespace quern::test

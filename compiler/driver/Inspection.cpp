#include "compiler/driver/Inspection.h"

#include "compiler/driver/DeviceCode.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>

namespace quern::driver {
namespace {

using artifact::items;
using artifact::Manifest;
using artifact::text;
using Json = nlohmann::ordered_json;

Json strings(const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>> *list) {
  Json out = Json::array();
  for (const flatbuffers::String *s : items(list))
    out.push_back(text(s));
  return out;
}

Json numbers(const flatbuffers::Vector<int64_t> *list) {
  Json out = Json::array();
  for (const int64_t n : items(list))
    out.push_back(n);
  return out;
}

Json tensors(const flatbuffers::Vector<flatbuffers::Offset<artifact::TensorDesc>> *list) {
  Json out = Json::array();
  for (const artifact::TensorDesc *tensor : items(list)) {
    Json shape = Json::array();
    for (uint32_t i = 0; i < items(tensor->shape()).size(); ++i) {
      const int64_t dim = items(tensor->shape())[i];
      if (dim >= 0)
        shape.push_back(dim);
      else
        shape.push_back(text(items(tensor->symbols())[i]));
    }
    out.push_back({{"name", text(tensor->name())},
                   {"type", artifact::EnumNameElementType(tensor->type())},
                   {"shape", shape}});
  }
  return out;
}

Json sizes(const artifact::Entry &entry) {
  Json out = Json::array();
  for (const artifact::Size *size : items(entry.sizes()))
    out.push_back({{"name", text(size->name())},
                   {"most", size->most()},
                   {"counted", size->bound() != nullptr}});
  return out;
}

Json equal_sizes(const artifact::Entry &entry) {
  Json out = Json::array();
  for (const artifact::EqualSizes *equal : items(entry.equal()))
    out.push_back({{"left", text(equal->left()->text())},
                   {"right", text(equal->right()->text())},
                   {"because", text(equal->because())}});
  return out;
}

Json buckets(const artifact::Entry &entry) {
  Json out = Json::array();
  for (const artifact::Bucket *bucket : items(entry.buckets())) {
    Json buffers = Json::array();
    for (const artifact::Buffer *buffer : items(bucket->buffers()))
      buffers.push_back({{"name", text(buffer->name())},
                         {"offset", buffer->offset()},
                         {"bytes", buffer->size()},
                         {"first", buffer->first()},
                         {"last", buffer->last()}});
    out.push_back({{"name", text(bucket->name())},
                   {"target", text(bucket->target())},
                   {"symbol", text(bucket->symbol())},
                   {"max_tokens", bucket->max_tokens()},
                   {"max_seqs", bucket->max_seqs()},
                   {"arena", bucket->arena()},
                   {"arena_bound", bucket->arena_bound()},
                   {"dispatches", items(bucket->dispatches()).size()},
                   {"buffers", buffers}});
  }
  return out;
}

Json entries(const Manifest &manifest) {
  Json out = Json::array();
  for (const artifact::Entry *entry : items(manifest.entries()))
    out.push_back({{"name", text(entry->name())},
                   {"inputs", tensors(entry->inputs())},
                   {"outputs", tensors(entry->outputs())},
                   {"sizes", sizes(*entry)},
                   {"equal", equal_sizes(*entry)},
                   {"buckets", buckets(*entry)}});
  return out;
}

Json to_json(const DeviceFunction &function) {
  return {
      {"variant", function.variant}, {"name", function.name},   {"registers", function.registers},
      {"shared", function.shared},   {"local", function.local}, {"persistent", function.persistent},
      {"ptx", function.ptx},         {"cubin", function.cubin}};
}

// Each kernel with its dispatches, by bucket, and what devices with code of their own say of it.
Json kernels(const artifact::Artifact &artifact) {
  const Manifest &manifest = artifact.manifest();
  Json out = Json::array();
  for (const artifact::Kernel *kernel : items(manifest.kernels()))
    out.push_back({{"name", text(kernel->name())},
                   {"target", text(kernel->target())},
                   {"anchor", text(kernel->anchor())},
                   {"dispatches", Json::array()}});
  for (const artifact::Entry *entry : items(manifest.entries()))
    for (const artifact::Bucket *bucket : items(entry->buckets()))
      for (const artifact::Dispatch *dispatch : items(bucket->dispatches()))
        out[dispatch->kernel()]["dispatches"].push_back(
            {{"entry", text(entry->name())},
             {"bucket", text(bucket->name())},
             {"label", text(dispatch->label())},
             {"weight_bytes", dispatch->weight_bytes() + dispatch->row_weight_bytes()}});
  for (const DeviceFunction &function : device_functions(artifact))
    if (function.kernel)
      out[*function.kernel]["functions"].push_back(to_json(function));
  return out;
}

Json states(const Manifest &manifest) {
  Json out = Json::array();
  for (const artifact::State *state : items(manifest.states())) {
    out.push_back({{"name", text(state->name())},
                   {"kind", artifact::EnumNameStateKind(state->kind())},
                   {"shape", numbers(state->shape())},
                   {"offset", state->offset()},
                   {"bytes", state->bytes()}});
    if (state->kind() == artifact::StateKind::kv)
      out.back()["group"] = state->group(); // index into the plan's kv_groups
  }
  return out;
}

Json proof(const artifact::Artifact &artifact) {
  Json logits = Json::array(), notes = Json::array();
  size_t texts = 0, calls = 0;
  if (const artifact::Proof *proof = artifact.proof()) {
    notes = strings(proof->notes());
    texts = items(proof->tokenizer()).size();
    calls = items(proof->calls()).size();
    for (const artifact::LogitsVector *v : items(proof->logits()))
      logits.push_back({{"tokens", items(v->tokens()).size()},
                        {"rows", items(v->rows()).size()},
                        {"tolerance", v->tolerance()}});
  }
  return {{"tokenizer_texts", texts}, {"logits", logits}, {"calls", calls}, {"notes", notes}};
}

// Of the target's bucket with the largest arena.
uint64_t arena_bound(const Manifest &manifest, std::string_view target, uint64_t arena) {
  uint64_t bound = 0;
  for (const artifact::Entry *entry : items(manifest.entries()))
    for (const artifact::Bucket *bucket : items(entry->buckets()))
      if (text(bucket->target()) == target && bucket->arena() == arena)
        bound = std::max<uint64_t>(bound, bucket->arena_bound());
  return bound;
}

} // namespace

std::vector<FormatSummary> formats_of(const Manifest &manifest) {
  std::map<std::string, FormatSummary> by_name;
  for (const artifact::Weight *weight : items(manifest.weights())) {
    FormatSummary &summary = by_name[std::string(text(weight->format()))];
    uint64_t elements = 1;
    for (const int64_t dim : items(weight->shape()))
      elements *= static_cast<uint64_t>(std::max<int64_t>(dim, 0));
    ++summary.tensors;
    summary.bytes += weight->bytes();
    summary.elements += elements;
    summary.max_error = std::max(summary.max_error, weight->relative_error());
  }
  std::vector<FormatSummary> list;
  for (auto &[name, summary] : by_name) {
    summary.format = name;
    list.push_back(summary);
  }
  return list;
}

std::vector<Sizes> sizes_of(const artifact::Artifact &artifact, uint64_t checkpoints) {
  const Manifest &manifest = artifact.manifest();
  std::vector<Sizes> all;
  for (const artifact::Variant *variant : items(manifest.variants())) {
    const std::string target(text(variant->target()));
    auto sizes = std::ranges::find(all, target, &Sizes::target);
    session::ModelSizes model = session::model_sizes(artifact, text(variant->name()));
    if (sizes == all.end()) {
      sizes = all.insert(all.end(),
                         Sizes{target, std::move(model), 0, manifest.context(), 1, checkpoints});
      sizes->arena_bound = arena_bound(manifest, target, sizes->model.arena);
    } else {
      sizes->model.code = std::max(sizes->model.code, model.code);
    }
  }
  return all;
}

nlohmann::ordered_json inspection_json(const artifact::Artifact &artifact, uint64_t checkpoints) {
  const Manifest &manifest = artifact.manifest();
  Json variants = Json::array();
  for (const artifact::Variant *variant : items(manifest.variants())) {
    variants.push_back({{"name", text(variant->name())},
                        {"target", text(variant->target())},
                        {"features", strings(variant->features())},
                        {"code", artifact.code(text(variant->name())).size()}});
    // Those of a kernel are listed there.
    for (const DeviceFunction &function : device_functions(artifact))
      if (!function.kernel && function.variant == text(variant->name()))
        variants.back()["functions"].push_back(to_json(function));
  }
  Json formats = Json::array();
  for (const FormatSummary &format : formats_of(manifest))
    formats.push_back({{"format", format.format},
                       {"tensors", format.tensors},
                       {"bytes", format.bytes},
                       {"bits_per_weight", format.bits_per_weight()},
                       {"max_relative_error", format.max_error}});
  Json weights = Json::array();
  for (const artifact::Weight *weight : items(manifest.weights()))
    weights.push_back({{"name", text(weight->name())},
                       {"format", text(weight->format())},
                       {"packing", text(weight->packing())},
                       {"shape", numbers(weight->shape())},
                       {"bytes", weight->bytes()},
                       {"bits_per_weight", weight->bits_per_weight()},
                       {"relative_error", weight->relative_error()}});
  return {{"producer", text(manifest.producer())},
          {"family", text(manifest.family())},
          {"source", text(manifest.source())},
          {"synthetic", manifest.synthetic()},
          {"context", manifest.context()},
          {"max_tokens", manifest.max_tokens()},
          {"max_seqs", manifest.max_seqs()},
          {"vocab", manifest.vocab()},
          {"flags", strings(manifest.flags())},
          {"tokenizer", !artifact.tokenizer().empty()},
          {"flops_per_token", manifest.flops_per_token()},
          {"plan", to_json(std::span<const Sizes>(sizes_of(artifact, checkpoints)))},
          {"entries", entries(manifest)},
          {"variants", variants},
          {"formats", formats},
          {"weights", weights},
          {"kernels", kernels(artifact)},
          {"state", states(manifest)},
          {"proof", proof(artifact)}};
}

} // namespace quern::driver

// `quern inspect` for people.
#include "compiler/driver/DeviceCode.h"
#include "compiler/driver/Inspection.h"

#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>

namespace quern::driver {
namespace {

using artifact::items;
using artifact::Manifest;
using artifact::text;

void print(const char *name, const std::string &value) {
  std::printf("%-10s %s\n", name, value.c_str());
}

std::string tensor_text(const artifact::TensorDesc &tensor) {
  std::string out =
      std::string(text(tensor.name())) + " " + artifact::EnumNameElementType(tensor.type()) + " [";
  for (uint32_t i = 0; i < items(tensor.shape()).size(); ++i) {
    const int64_t dim = items(tensor.shape())[i];
    out += i == 0 ? "" : ", ";
    out += dim >= 0 ? std::to_string(dim) : std::string(text(items(tensor.symbols())[i]));
  }
  return out + "]";
}

// What a step of the bucket has, at most; nothing where there are no tokens.
std::string limits_of(const artifact::Bucket &bucket, bool tokens) {
  return !tokens ? ""
                 : "up to " + std::to_string(bucket.max_tokens()) + " tokens of " +
                       std::to_string(bucket.max_seqs()) + " sequences, ";
}

void print_overview(const artifact::Artifact &artifact) {
  const Manifest &manifest = artifact.manifest();
  print("model", std::string(text(manifest.source())) + ", " +
                     std::string(text(manifest.family())) +
                     (manifest.synthetic() ? ", SYNTHETIC WEIGHTS" : ""));
  print("made by", std::string(text(manifest.producer())));
  std::string flags;
  for (const flatbuffers::String *flag : items(manifest.flags()))
    flags += (flags.empty() ? "" : " ") + flag->str();
  print("flags", flags);
  if (manifest.max_tokens() != 0)
    print("limits", "context " + std::to_string(manifest.context()) + ", " +
                        std::to_string(manifest.max_tokens()) + " tokens and " +
                        std::to_string(manifest.max_seqs()) + " sequences a step, vocabulary " +
                        std::to_string(manifest.vocab()));
  print("tokenizer",
        artifact.tokenizer().empty() ? "none" : session::human_bytes(artifact.tokenizer().size()));
  for (const artifact::Variant *variant : items(manifest.variants())) {
    std::string needs;
    for (const flatbuffers::String *feature : items(variant->features()))
      needs += (needs.empty() ? " needs " : ", ") + feature->str();
    print("variant", std::string(text(variant->target())) + " " +
                         std::string(text(variant->name())) + ": " +
                         session::human_bytes(artifact.code(text(variant->name())).size()) +
                         " of code," + needs);
  }
  for (const artifact::Entry *entry : items(manifest.entries())) {
    std::string line = std::string(text(entry->name())) + "(";
    for (uint32_t i = 0; i < items(entry->inputs()).size(); ++i)
      line += (i ? ", " : "") + tensor_text(*items(entry->inputs())[i]);
    line += ") -> (";
    for (uint32_t i = 0; i < items(entry->outputs()).size(); ++i)
      line += (i ? ", " : "") + tensor_text(*items(entry->outputs())[i]);
    print("entry", line + ")");
    for (const artifact::Size *size : items(entry->sizes()))
      print("  size", std::string(text(size->name())) + ": at most " +
                          std::to_string(size->most()) +
                          (size->bound() ? ", which the model counts" : ""));
    for (const artifact::EqualSizes *equal : items(entry->equal()))
      print("  equal", std::string(text(equal->left()->text())) + " and " +
                           std::string(text(equal->right()->text())) + ", says " +
                           std::string(text(equal->because())));
    for (const artifact::Bucket *bucket : items(entry->buckets()))
      print("  bucket",
            std::string(text(bucket->target())) + " " + std::string(text(bucket->name())) + ": " +
                limits_of(*bucket, manifest.max_tokens() != 0 && items(entry->sizes()).empty()) +
                std::to_string(items(bucket->dispatches()).size()) + " dispatches, arena " +
                session::human_bytes(bucket->arena()));
  }
}

void print_formats(const Manifest &manifest) {
  std::printf("\n%-16s %8s %16s %12s %12s\n", "format", "tensors", "bytes", "bits/weight",
              "max error");
  for (const FormatSummary &format : formats_of(manifest))
    std::printf("%-16s %8" PRIu64 " %16" PRIu64 " %12.3f %12.3g\n", format.format.c_str(),
                format.tensors, format.bytes, format.bits_per_weight(),
                static_cast<double>(format.max_error));
}

void print_proof(const artifact::Artifact &artifact) {
  std::printf("\n");
  const artifact::Proof *proof = artifact.proof();
  if (!proof) {
    print("proof", "none");
    return;
  }
  print("proof", std::to_string(items(proof->tokenizer()).size()) + " tokenized texts");
  for (const artifact::LogitsVector *v : items(proof->logits()))
    print("", "logits of " + std::to_string(items(v->rows()).size()) + " of " +
                  std::to_string(items(v->tokens()).size()) + " tokens, within " +
                  std::to_string(v->tolerance()) + " standard deviations");
  for (const artifact::CallVector *call : items(proof->calls()))
    print("", "a call of " + std::string(text(call->entry())) + ", within " +
                  std::to_string(call->tolerance()) + " standard deviations");
  for (const flatbuffers::String *note : items(proof->notes()))
    print("", "note: " + std::string(text(note)));
}

// A label without the numbers of layers: "model.layers.*.mlp".
std::string of_any_layer(std::string_view label) {
  std::vector<std::string> parts =
      absl::StrSplit(absl::string_view(label.data(), label.size()), '.');
  for (std::string &part : parts)
    if (!part.empty() && part.find_first_not_of("0123456789") == part.npos)
      part = "*";
  return absl::StrJoin(parts, ".");
}

// A kernel's dispatches in a bucket, those of all layers in one line: the bytes of each, and how
// many they are.
void print_dispatches(const artifact::Bucket &bucket, uint32_t kernel) {
  struct Group {
    std::string label, of_any;
    uint64_t bytes, count;
  };
  std::vector<Group> groups;
  for (const artifact::Dispatch *dispatch : items(bucket.dispatches())) {
    if (dispatch->kernel() != kernel)
      continue;
    const uint64_t bytes = dispatch->weight_bytes() + dispatch->row_weight_bytes();
    const std::string of_any = of_any_layer(text(dispatch->label()));
    const auto like = std::ranges::find_if(
        groups, [&](const Group &group) { return group.bytes == bytes && group.of_any == of_any; });
    if (like == groups.end())
      groups.push_back({std::string(text(dispatch->label())), of_any, bytes, 1});
    else
      ++like->count;
  }
  for (const Group &group : groups)
    std::printf("  %-10s %14" PRIu64 " %4" PRIu64 " x  %s\n",
                std::string(text(bucket.name())).c_str(), group.bytes, group.count,
                (group.count == 1 ? group.label : group.of_any).c_str());
}

void print_kernels(const artifact::Artifact &artifact) {
  const Manifest &manifest = artifact.manifest();
  const std::vector<DeviceFunction> functions = device_functions(artifact);
  const auto print_function = [](const DeviceFunction &function) {
    std::printf("  %-10s %s: %s\n", function.variant.c_str(), function.name.c_str(),
                describe(function).c_str());
  };
  for (uint32_t k = 0; k < items(manifest.kernels()).size(); ++k) {
    const artifact::Kernel *kernel = items(manifest.kernels())[k];
    std::printf("\nkernel %s %s (%s)\n", std::string(text(kernel->target())).c_str(),
                std::string(text(kernel->name())).c_str(),
                std::string(text(kernel->anchor())).c_str());
    for (const artifact::Entry *entry : items(manifest.entries()))
      for (const artifact::Bucket *bucket : items(entry->buckets()))
        print_dispatches(*bucket, k);
    for (const DeviceFunction &function : functions)
      if (function.kernel == k)
        print_function(function);
  }
  bool first = true;
  for (const DeviceFunction &function : functions)
    if (!function.kernel) {
      std::printf("%s", first ? "\nof whole buckets\n" : "");
      first = false;
      print_function(function);
    }
}

void print_plan(const Manifest &manifest) {
  for (const artifact::Entry *entry : items(manifest.entries()))
    for (const artifact::Bucket *bucket : items(entry->buckets())) {
      std::printf(
          "\n%s: %s.%s: arena %" PRIu64 ", alive at once at most %" PRIu64 "\n",
          std::string(text(bucket->target())).c_str(), std::string(text(entry->name())).c_str(),
          std::string(text(bucket->name())).c_str(), bucket->arena(), bucket->arena_bound());
      std::printf("%14s %14s %11s  %s\n", "offset", "bytes", "dispatches", "buffer");
      for (const artifact::Buffer *buffer : items(bucket->buffers()))
        std::printf("%14" PRIu64 " %14" PRIu64 " %5u-%-5u  %s\n", buffer->offset(), buffer->size(),
                    buffer->first(), buffer->last(), std::string(text(buffer->name())).c_str());
    }
}

} // namespace

void print_inspection(const artifact::Artifact &artifact, const InspectionParts &parts) {
  print_overview(artifact);
  print_formats(artifact.manifest());
  std::printf("\n");
  for (const Sizes &sizes : sizes_of(artifact, parts.checkpoints))
    print_table(sizes, "of the largest variant");
  print_proof(artifact);
  if (parts.kernels)
    print_kernels(artifact);
  if (parts.plan)
    print_plan(artifact.manifest());
}

} // namespace quern::driver

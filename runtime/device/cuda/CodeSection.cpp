#include "runtime/device/cuda/CodeSection.h"

#include "runtime/abi/CudaStep.h"
#include "runtime/device/Staging.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <string_view>

namespace quern::device::cuda {
namespace {

using artifact::CudaBase;
using artifact::items;
using artifact::text;

constexpr uint32_t kMaxShared = 1u << 20; // more than any GPU has
// A kernel's parameters are at most 4096 bytes, the step's address among them.
constexpr uint32_t kMaxOperands = 4096 / 8 - 1;

absl::Status wrong(std::string where, std::string_view what) {
  return absl::DataLossError(
      absl::StrCat("CUDA code: ", where, ": ", std::string(what),
                   "\nhint: the file is damaged, or another program wrote it; compile it again"));
}

// What the driver takes as a name: it is looked up, and printed.
bool is_name(std::string_view name) {
  return !name.empty() && name.size() < 1024 &&
         std::ranges::all_of(
             name,
             [](char c) {
               return c == '_' || c == '$' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      (c >= '0' && c <= '9');
             });
}

// What operands of one bucket may point into.
struct Ranges {
  uint64_t weights = 0, arena = 0;
  std::vector<uint64_t> inputs, outputs; ///< bytes in the largest step
};

// A place inside something of `bytes` bytes, or the begin of something empty.
bool inside(int64_t place, uint64_t bytes) {
  return place == 0 || (place > 0 && static_cast<uint64_t>(place) < bytes);
}

class Reader {
public:
  Reader(const artifact::Manifest &manifest, uint64_t weights_bytes)
      : manifest_(manifest), weights_bytes_(weights_bytes) {}

  absl::StatusOr<Code> read(const artifact::CudaCode &section, uint64_t bytes) {
    // Tables may be shared, so that a small file could unfold to a large one; an honest one has
    // each operand once.
    operands_left_ = bytes / sizeof(artifact::CudaOperand);
    launches_left_ = bytes / sizeof(uint32_t);
    names_left_ = bytes;
    if (absl::Status status = read_modules(section); !status.ok())
      return status;
    if (absl::Status status = read_functions(section); !status.ok())
      return status;
    for (const artifact::Entry *entry : items(manifest_.entries())) {
      auto &buckets = code_.buckets.emplace_back();
      for (const artifact::Bucket *bucket : items(entry->buckets())) {
        buckets.emplace_back();
        if (text(bucket->target()) != kTarget)
          continue;
        if (absl::Status status = read_bucket(section, *entry, *bucket, buckets.back());
            !status.ok())
          return status;
      }
    }
    return std::move(code_);
  }

private:
  // Whether it is a name, and all names so far fit in the section.
  bool take_name(std::string_view name) {
    if (!is_name(name) || name.size() > names_left_)
      return false;
    names_left_ -= name.size();
    return true;
  }

  absl::Status read_modules(const artifact::CudaCode &section) {
    for (const artifact::CudaModule *module : items(section.modules())) {
      const std::string where = absl::StrCat("module ", code_.modules.size());
      const std::string_view ptx = text(module->ptx());
      if (!take_name(text(module->name())))
        return wrong(where, "its name is none");
      if (ptx.find('\0') != std::string_view::npos)
        return wrong(where, "its PTX is no text");
      const auto cubin = items(module->cubin());
      if (ptx.empty() && cubin.empty())
        return wrong(where, "it has neither PTX nor a cubin");
      // A cubin is an ELF file; the driver is told no size, and finds it in the file's header.
      if (!cubin.empty() &&
          (cubin.size() < 64 || std::memcmp(module->cubin()->data(), "\177ELF", 4) != 0))
        return wrong(where, "its cubin is no ELF file");
      CodeModule &read = code_.modules.emplace_back();
      read.name = std::string(text(module->name()));
      if (!ptx.empty())
        read.ptx = module->ptx()->c_str();
      if (!cubin.empty())
        read.cubin = {module->cubin()->data(), cubin.size()};
    }
    return absl::OkStatus();
  }

  absl::Status read_functions(const artifact::CudaCode &section) {
    for (const artifact::CudaFunction *function : items(section.functions())) {
      const std::string where = absl::StrCat("function ", code_.functions.size());
      if (!take_name(text(function->name())))
        return wrong(where, "its name is none");
      if (function->module_() >= code_.modules.size())
        return wrong(where, "it is in a module that is not there");
      if (function->shared() > kMaxShared)
        return wrong(where, "it takes more shared memory than there is");
      code_.functions.push_back(
          {std::string(text(function->name())), function->module_(), function->shared()});
      persistent_.push_back(function->persistent());
    }
    return absl::OkStatus();
  }

  absl::Status read_bucket(const artifact::CudaCode &section, const artifact::Entry &entry,
                           const artifact::Bucket &bucket, CodeBucket &read) {
    const std::string symbol(text(bucket.symbol()));
    const artifact::CudaBucket *found = nullptr;
    for (const artifact::CudaBucket *candidate : items(section.buckets())) {
      if (text(candidate->symbol()) != symbol)
        continue;
      if (found)
        return wrong(symbol, "it is there twice");
      found = candidate;
    }
    if (!found)
      return wrong(symbol, "the code lacks this bucket");
    Ranges ranges{weights_bytes_, bucket.arena(), {}, {}};
    for (const artifact::TensorDesc *input : items(entry.inputs()))
      ranges.inputs.push_back(tensor_bytes(*input, largest_step(bucket)));
    for (const artifact::TensorDesc *output : items(entry.outputs()))
      ranges.outputs.push_back(tensor_bytes(*output, largest_step(bucket)));
    const uint32_t num_dispatches = items(bucket.dispatches()).size();
    uint32_t last = 0;
    for (const artifact::CudaLaunch *launch : items(found->launches())) {
      const std::string where = absl::StrCat(symbol, " launch ", read.launches.size());
      auto one = read_launch(*launch, ranges, num_dispatches, /*persistent=*/false, where);
      if (!one.ok())
        return one.status();
      if (one->dispatch < last)
        return wrong(where, "it comes before one of an earlier dispatch");
      last = one->dispatch;
      read.launches.push_back(*std::move(one));
    }
    if (read.launches.empty() && num_dispatches != 0)
      return wrong(symbol, "it launches nothing");
    if (!found->persistent())
      return absl::OkStatus();
    auto whole = read_launch(*found->persistent(), ranges, num_dispatches, /*persistent=*/true,
                             absl::StrCat(symbol, " persistent launch"));
    if (!whole.ok())
      return whole.status();
    read.persistent = *std::move(whole);
    return absl::OkStatus();
  }

  absl::StatusOr<CodeLaunch> read_launch(const artifact::CudaLaunch &launch, const Ranges &ranges,
                                         uint32_t num_dispatches, bool persistent,
                                         const std::string &where) {
    if (launches_left_-- == 0)
      return wrong(where, "there are more launches than the section can hold");
    if (launch.function() >= code_.functions.size())
      return wrong(where, "it is of a function that is not there");
    if (persistent_[launch.function()] != persistent)
      return wrong(where, persistent ? "its function runs no whole bucket"
                                     : "its function runs a whole bucket");
    if (launch.dispatch() >= num_dispatches)
      return wrong(where, "it is of a dispatch that is not there");
    if (launch.max_workers() == 0 || launch.max_workers() > INT_MAX)
      return wrong(where, "impossible number of workers");
    const auto *operands = launch.operands();
    const uint32_t count = operands ? operands->size() : 0;
    if (count > kMaxOperands || count > operands_left_)
      return wrong(where, "too many operands");
    operands_left_ -= count;
    CodeLaunch read{launch.function(), launch.dispatch(), launch.max_workers(), {}};
    read.operands.reserve(count);
    for (uint32_t i = 0; i < count; ++i) {
      // FlatBuffers' verifier checks where a vector begins, not that its 8-byte numbers lie as the
      // CPU likes.
      artifact::CudaOperand operand;
      std::memcpy(&operand, operands->Data() + i * sizeof operand, sizeof operand);
      if (const char *what = check(operand, ranges))
        return wrong(absl::StrCat(where, " operand ", i), what);
      read.operands.push_back({operand.base(), operand.index(), operand.number()});
    }
    return read;
  }

  // Null where the operand is possible.
  static const char *check(const artifact::CudaOperand &operand, const Ranges &ranges) {
    switch (operand.base()) {
    case CudaBase::number:
      return nullptr;
    case CudaBase::weights:
      return inside(operand.number(), ranges.weights) ? nullptr : "it lies outside the weights";
    case CudaBase::arena:
      return inside(operand.number(), ranges.arena) ? nullptr : "it lies outside the arena";
    case CudaBase::input:
      return operand.index() < ranges.inputs.size() &&
                     inside(operand.number(), ranges.inputs[operand.index()])
                 ? nullptr
                 : "it lies in no input";
    case CudaBase::output:
      return operand.index() < ranges.outputs.size() &&
                     inside(operand.number(), ranges.outputs[operand.index()])
                 ? nullptr
                 : "it lies in no result";
    case CudaBase::rows:
      return operand.number() == 0 ? nullptr : "it lies outside the wanted rows";
    }
    return "it is of no known kind";
  }

  const artifact::Manifest &manifest_;
  uint64_t weights_bytes_;
  Code code_;
  std::vector<bool> persistent_; ///< of functions
  uint64_t operands_left_ = 0, launches_left_ = 0, names_left_ = 0;
};

absl::StatusOr<const artifact::CudaCode *> section_of(std::span<const uint8_t> bytes) {
  const auto max_tables = static_cast<flatbuffers::uoffset_t>(bytes.size() / 4 + 1);
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), /*max_depth=*/8, max_tables);
  if (bytes.size() < 8 || !artifact::VerifyCudaCodeBuffer(verifier))
    return wrong("section", "it is not well-formed");
  const artifact::CudaCode &section = *artifact::GetCudaCode(bytes.data());
  if (section.abi_version() != QUERN_CUDA_ABI_VERSION)
    return absl::InvalidArgumentError(absl::StrCat(
        "its CUDA code follows step ABI ", section.abi_version(), ", and this build has ",
        QUERN_CUDA_ABI_VERSION, "\nhint: compile the model again with this build's quern"));
  return &section;
}

} // namespace

absl::StatusOr<Code> read_code(std::span<const uint8_t> bytes, const artifact::Manifest &manifest,
                               uint64_t weights_bytes) {
  const auto section = section_of(bytes);
  if (!section.ok())
    return section.status();
  return Reader(manifest, weights_bytes).read(**section, bytes.size());
}

uint32_t largest_shared(std::span<const uint8_t> bytes) {
  const auto section = section_of(bytes);
  uint32_t most = 0;
  if (section.ok())
    for (const artifact::CudaFunction *function : items((*section)->functions()))
      most = std::max(most, function->shared());
  return most > kMaxShared ? 0 : most;
}

} // namespace quern::device::cuda

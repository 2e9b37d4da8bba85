// quern-run call: any entry with plain tensors, .npy in and out.
#include "runtime/cli/Model.h"
#include "runtime/cli/Npy.h"
#include "runtime/cli/Report.h"
#include "runtime/cli/Verbs.h"
#include "runtime/session/CallShapes.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <filesystem>

namespace quern::cli {
namespace {

using artifact::items;
using artifact::text;

struct CallOptions {
  ModelOptions model;
  std::string entry = "main";
  std::vector<std::string> inputs; // name=x.npy
  std::string output_dir;
};

// The arrays of `--input name=x.npy`, in the entry's order.
absl::StatusOr<std::vector<NpyArray>> read_inputs(const CallOptions &options,
                                                  const artifact::Entry &entry) {
  std::vector<NpyArray> arrays(items(entry.inputs()).size());
  std::vector<bool> given(arrays.size());
  for (const std::string &input : options.inputs) {
    // A tensor's name may hold '=': the file is behind the last one.
    const size_t equals = input.rfind('=');
    const std::string name = input.substr(0, equals);
    size_t index = 0;
    std::string known;
    for (const artifact::TensorDesc *tensor : items(entry.inputs())) {
      if (text(tensor->name()) == name)
        break;
      absl::StrAppend(&known, known.empty() ? "" : ", ", std::string(text(tensor->name())));
      ++index;
    }
    if (index == arrays.size())
      return absl::InvalidArgumentError(absl::StrCat("--input ", input, ": entry '", options.entry,
                                                     "' has no input '", name, "'\nhint: it has ",
                                                     known));
    if (given[index])
      return absl::InvalidArgumentError(absl::StrCat(
          "--input ", input, ": input '", name, "' is given twice\nhint: one file for each input"));
    auto array = read_npy(input.substr(equals + 1),
                          items(entry.inputs())[static_cast<uint32_t>(index)]->type());
    if (!array.ok())
      return array.status();
    arrays[index] = *std::move(array);
    given[index] = true;
  }
  for (size_t i = 0; i < arrays.size(); ++i)
    if (!given[i]) {
      const std::string name(text(items(entry.inputs())[static_cast<uint32_t>(i)]->name()));
      return absl::InvalidArgumentError(
          absl::StrCat("input '", name, "' is not given\nhint: --input ", name, "=FILE.npy"));
    }
  return arrays;
}

// DIR/<name>.npy. Names of ONNX tensors may hold '/', which makes folders; none may lead out of
// DIR.
absl::StatusOr<std::string> output_path(const std::string &dir, const std::string &name) {
  const std::filesystem::path relative = std::filesystem::path(name + ".npy").relative_path();
  for (const std::filesystem::path &part : relative)
    if (part == "..")
      return absl::InvalidArgumentError(absl::StrCat("output '", name, "' cannot name a file"));
  const std::filesystem::path path = std::filesystem::path(dir) / relative;
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error)
    return absl::UnavailableError(
        absl::StrCat(path.parent_path().string(), ": cannot make the folder: ", error.message()));
  return path.string();
}

// What the results take beside the model, before it is taken.
absl::Status check_results_fit(std::span<const session::Tensor> outputs) {
  uint64_t bytes = 0;
  for (const session::Tensor &output : outputs)
    bytes = output.bytes > UINT64_MAX - bytes ? UINT64_MAX : bytes + output.bytes;
  if (const uint64_t available = session::available_memory(); bytes > available)
    return absl::ResourceExhaustedError(
        absl::StrCat("the results need ", session::human_bytes(bytes), ", and the machine has ",
                     session::human_bytes(available), "\nhint: smaller inputs"));
  return absl::OkStatus();
}

absl::Status call_entry(const CallOptions &options) {
  auto engine = session::Engine::open(options.model.model, options.model.engine());
  if (!engine.ok())
    return engine.status();
  const artifact::Entry *entry = (*engine)->artifact().entry(options.entry);
  if (!entry || !session::is_callable(*entry)) // with the engine's words
    return (*engine)->output_shapes(options.entry, {}).status();
  auto inputs = read_inputs(options, *entry);
  if (!inputs.ok())
    return inputs.status();
  std::vector<session::Tensor> tensors;
  for (NpyArray &array : *inputs)
    tensors.push_back({array.type, array.shape, array.bytes.data(), array.bytes.size()});
  auto outputs = (*engine)->output_shapes(options.entry, tensors);
  if (!outputs.ok())
    return outputs.status();
  if (absl::Status status = check_results_fit(*outputs); !status.ok())
    return status;
  std::vector<NpyArray> results;
  for (session::Tensor &output : *outputs) {
    results.push_back({output.type, output.shape, std::vector<uint8_t>(output.bytes)});
    output.data = results.back().bytes.data();
  }
  if (absl::Status status = (*engine)->call(options.entry, tensors, *outputs); !status.ok())
    return status;
  for (uint32_t i = 0; i < results.size(); ++i) {
    if (results[i].shape != (*outputs)[i].shape) { // the model counted it
      results[i].shape = (*outputs)[i].shape;
      uint64_t bytes = artifact::element_bytes(results[i].type);
      for (const int64_t dim : results[i].shape)
        bytes *= static_cast<uint64_t>(dim);
      results[i].bytes.resize(bytes);
    }
    auto path =
        output_path(options.output_dir, std::string(text(items(entry->outputs())[i]->name())));
    if (!path.ok())
      return path.status();
    if (absl::Status status = write_npy(*path, std::move(results[i])); !status.ok())
      return status;
  }
  return absl::OkStatus();
}

} // namespace

int call(Args args) {
  CallOptions options;
  const Command command{
      "quern-run call -m FILE --input name=x.npy ... --output-dir DIR",
      "Runs an entry on plain tensors; writes one .npy an output.",
      options.model.flags() +
          std::vector<Flag>{
              {"--entry", "NAME", "which entry (default main)", &options.entry},
              {"--input", "NAME=F.npy", "an input; repeat for each", &options.inputs},
              {"-o, --output-dir", "DIR", "where the outputs go", &options.output_dir, true}},
      "quern-run call -m encoder.quern --input x=x.npy --output-dir out"};
  if (auto code = parse(command, args))
    return *code;
  if (auto code = first_mistake({options.model.check()}))
    return *code;
  for (const std::string &input : options.inputs)
    if (input.find('=') == std::string::npos || input.ends_with('='))
      return wrong_usage(absl::StrCat("--input ", input, " names no file"),
                         "--input NAME=FILE.npy");
  const absl::Status status = call_entry(options);
  return status.ok() ? kDone : fail(status);
}

} // namespace quern::cli

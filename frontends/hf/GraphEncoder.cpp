#include "frontends/hf/GraphEncoder.h"

#include "frontends/StoredTensors.h"
#include "frontends/TokenizerNotes.h"
#include "frontends/hf/ConfigJson.h"
#include "frontends/hf/SentenceModules.h"
#include "frontends/hf/TokenizerJson.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

namespace quern::hf {
namespace {

namespace fs = std::filesystem;
using onnx::ElementType;
using onnx::Shape;
using onnx::ValueId;

class GraphEncoder {
public:
  GraphEncoder(const std::string &path, LoadedModel &model) : path_(path), model_(model) {}

  void read() {
    if (!takes_text() || !find_folder())
      return;
    Problems problems;
    LoadedModel found;
    if (!sizes_are_open() || !choose_output(found))
      return;
    read_files(found, problems);
    if (!problems.empty())
      return note(std::string(problems.status().message()));
    model_.decoder = std::move(found.decoder);
    model_.source = std::move(found.source);
    model_.encoder = std::move(found.encoder);
    model_.tokenizer = std::move(found.tokenizer);
    model_.encoded = found.encoded;
    for (std::string &text : found.notes)
      model_.notes.push_back(std::move(text));
  }

private:
  const onnx::Model &graph() const { return model_.graph->model; }
  const onnx::Fact &fact(ValueId id) const { return model_.graph->inference.fact(id); }
  const std::string &name(ValueId id) const { return graph().value(id).name; }
  const Shape &ids() const { return *fact(tokens_).shape; }

  void note(const std::string &why) {
    model_.notes.push_back(absl::StrCat("there is no entry for quern-run embed: ", why));
  }

  bool takes_text() {
    for (const ValueId id : graph().graph.inputs)
      if (name(id) == kTokensInput)
        tokens_ = id;
    return tokens_ != onnx::kNoValue && fact(tokens_).shape && ids().size() == 2;
  }

  /// The folder with the tokenizer: the file's own, or the one above a folder of exports.
  bool find_folder() {
    const fs::path own = fs::absolute(path_).lexically_normal().parent_path();
    std::vector<fs::path> folders = {own};
    if (absl::StartsWith(own.filename().string(), "onnx"))
      folders.push_back(own.parent_path());
    for (const fs::path &folder : folders) {
      Notes notes;
      auto spec = load_tokenizer(folder, &notes);
      if (!spec.ok()) {
        note(std::string(spec.status().message()));
        return false;
      }
      if (!*spec)
        continue;
      folder_ = folder;
      spec_ = **std::move(spec);
      for (std::string &text : notes)
        model_.notes.push_back(std::move(text));
      return true;
    }
    note("there is no tokenizer beside the file, nor above a folder named onnx");
    return false;
  }

  /// Whether the sequence's length can be chosen, and all inputs are of the shape of the ids.
  bool sizes_are_open() {
    const auto most = [&](const onnx::Dim &dim) -> int64_t {
      const auto symbol = dim.symbol_name();
      for (const onnx::SizeBound &bound : model_.graph->bounds)
        if (symbol && bound.symbol == *symbol)
          return bound.most;
      return 0;
    };
    most_tokens_ = most(ids()[1]);
    if (most_tokens_ == 0 || (most(ids()[0]) == 0 && !ids()[0].is(1))) {
      note("its sequences are all of one length, or always as many; export it with dynamic axes");
      return false;
    }
    for (const ValueId id : graph().graph.inputs) {
      if (name(id) != kTokensInput && name(id) != kMaskInput && name(id) != kTypesInput) {
        note(absl::StrCat("its input '", name(id), "' is none that texts have"));
        return false;
      }
      const ElementType type = fact(id).type;
      const bool number = type == ElementType::Int64 || type == ElementType::Int32;
      if (!fact(id).shape || *fact(id).shape != ids() || (!number && name(id) != kMaskInput)) {
        note(absl::StrCat("its input '", name(id), "' has not the shape of '", kTokensInput,
                          "', or is no integer"));
        return false;
      }
    }
    for (const onnx::SizeBound &bound : model_.graph->bounds)
      if (!(ids()[1] == onnx::Dim::symbol(bound.symbol)) &&
          !(ids()[0] == onnx::Dim::symbol(bound.symbol))) {
        note(absl::StrCat("its size '", bound.symbol, "' is none that texts have"));
        return false;
      }
    return true;
  }

  /// Whether the output is [b, columns], or [b, s, columns] with rows.
  int64_t columns(ValueId id, size_t rank) const {
    const auto &shape = fact(id).shape;
    const bool number = fact(id).type == ElementType::Float32 ||
                        fact(id).type == ElementType::Float16 ||
                        fact(id).type == ElementType::BFloat16;
    if (!shape || !number || shape->size() != rank || !((*shape)[0] == ids()[0]) ||
        (rank == 3 && !((*shape)[1] == ids()[1])))
      return 0;
    return shape->back().constant().value_or(0);
  }

  /// Scores, then what is a sentence's vector already, then the rows that pooling takes.
  bool choose_output(LoadedModel &found) {
    const std::vector<ValueId> &outputs = graph().graph.outputs;
    const auto find = [&](std::string_view wanted, size_t rank) {
      for (size_t i = 0; i < outputs.size(); ++i)
        if ((wanted.empty() || name(outputs[i]) == wanted) && columns(outputs[i], rank) > 0) {
          found.encoded = i;
          found.decoder.hidden = columns(outputs[i], rank);
          return true;
        }
      return false;
    };
    recipe::Encoding &encoding = found.decoder.encoding.emplace();
    if (find("logits", 2)) {
      encoding.labels = found.decoder.hidden;
      return true;
    }
    if (find("sentence_embedding", 2))
      return true;
    if (find("logits", 3)) {
      note("its output 'logits' has scores of tokens, not of texts");
      return false;
    }
    rows_ = find("last_hidden_state", 3) || find("token_embeddings", 3);
    // One that is called otherwise is meant where there is no choice.
    if (!rows_ && outputs.size() == 1)
      rows_ = find("", 3);
    if (rows_ || (outputs.size() == 1 && find("", 2)))
      return true;
    note("none of its outputs has rows of tokens, a vector or scores of texts");
    return false;
  }

  /// How many tokens there are: rows of the table that the ids look up, or what config.json says.
  int64_t vocabulary(const ConfigJson &config) const {
    for (const onnx::Node &node : graph().graph.nodes)
      if (node.op == "Gather" && node.inputs.size() == 2 && node.inputs[1] == tokens_ &&
          node.inputs[0] != onnx::kNoValue)
        if (const auto &table = graph().value(node.inputs[0]).constant;
            table && table->shape.size() == 2)
          return table->shape[0];
    return config.get_size("vocab_size").value_or(0);
  }

  void read_files(LoadedModel &found, Problems &problems) {
    std::error_code error;
    const std::string config_path = (folder_ / "config.json").string();
    absl::StatusOr<ConfigJson> config = fs::exists(config_path, error)
                                            ? ConfigJson::open(config_path)
                                            : ConfigJson::parse("{}", config_path);
    if (!config.ok())
      return problems.add_file(config_path, config.status());
    recipe::Decoder &decoder = found.decoder;
    decoder.family = "onnx";
    decoder.final_norm.kind = recipe::NormKind::None;
    decoder.context = most_tokens_;
    decoder.vocab = vocabulary(*config);
    if (decoder.vocab < 1)
      return problems.add(kTokensInput, "nothing says how many tokens there are",
                          "config.json's vocab_size says it");
    if (folder_ != fs::absolute(path_).lexically_normal().parent_path())
      found.notes.push_back(absl::StrCat("its tokenizer, and what becomes of its rows, are those "
                                         "of ",
                                         folder_.string()));
    StoredTensors tensors;
    if (rows_)
      read_sentence_modules(folder_, false, decoder, tensors, problems, found.notes);
    found.encoder = read_encoder_info(folder_, *config, decoder, problems);
    if (lowers_case(folder_)) {
      text::NormalizerStep lower;
      lower.kind = text::NormalizerStep::Kind::Lowercase;
      spec_.normalizers.insert(spec_.normalizers.begin(), std::move(lower));
    }
    for (std::string &text : tokenizer_notes(spec_, decoder.vocab, /*encodes=*/true))
      found.notes.push_back(std::move(text));
    found.tokenizer = text::serialize(spec_);
    found.source.files = tensors.paths();
    found.source.places = tensors.place(recipe::tensors(decoder), {}, problems);
    for (const recipe::Tensor &tensor : recipe::tensors(decoder))
      for (const onnx::Value &value : graph().values)
        if (value.name == tensor.name)
          problems.add(tensor.name, "the graph has a value of that name, and so has modules.json",
                       "rename the module's folder");
  }

  const std::string &path_;
  LoadedModel &model_;
  ValueId tokens_ = onnx::kNoValue;
  fs::path folder_;
  text::TokenizerSpec spec_;
  int64_t most_tokens_ = 0;
  bool rows_ = false; ///< the output has rows of tokens
};

} // namespace

void read_graph_encoder(const std::string &path, LoadedModel &model) {
  GraphEncoder(path, model).read();
}

} // namespace quern::hf

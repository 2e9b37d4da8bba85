#include "frontends/hf/TensorNames.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <algorithm>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

namespace quern::hf {
namespace {

using Shape = std::vector<int64_t>;
using Parts = std::vector<std::pair<std::string, Shape>>;

/// What a language model's names begin with inside another model.
constexpr const char *kAround[] = {"model.language_model.", "language_model.", "model.text_model.",
                                   "text_model."};
/// What the names of other parts begin with where the language model's are its own.
constexpr const char *kOtherParts[] = {"model.visual.",
                                       "visual.",
                                       "model.vision_tower.",
                                       "vision_tower.",
                                       "model.vision_model.",
                                       "vision_model.",
                                       "model.audio_tower.",
                                       "audio_tower.",
                                       "model.multi_modal_projector.",
                                       "multi_modal_projector.",
                                       "model.connector."};

/// What a family calls tensors, and what transformers' class does: parts of names.
struct OtherName {
  const char *family, *published, *of_class;
};
constexpr OtherName kOtherNames[] = {
    {"bert", ".LayerNorm.weight", ".LayerNorm.gamma"}, // of TensorFlow's files
    {"bert", ".LayerNorm.bias", ".LayerNorm.beta"},
    {"electra", ".LayerNorm.weight", ".LayerNorm.gamma"},
    {"electra", ".LayerNorm.bias", ".LayerNorm.beta"},
    {"ernie4_5_moe", ".mlp.moe_statics.", ".mlp.gate.moe_statics."},
    {"gpt_neox", "embed_out.", "lm_head."},
    {"granitemoe", ".input_linear.weight", ".experts.gate_up_proj"},
    {"granitemoe", ".output_linear.weight", ".experts.down_proj"},
    {"granitemoe", ".router.layer.", ".router."},
    {"granitemoehybrid", ".input_linear.weight", ".experts.gate_up_proj"},
    {"granitemoehybrid", ".output_linear.weight", ".experts.down_proj"},
    {"granitemoehybrid", ".router.layer.", ".router."},
    {"kimi_linear", ".block_sparse_moe.", ".mlp."},
    {"kimi_linear", ".self_attn.", ".self_attn.forget_gate."},
    {"minimax_m2", ".block_sparse_moe.", ".mlp."},
    {"mixtral", ".block_sparse_moe.", ".mlp."},
    {"nemotron_h", "backbone.", "model."},
};

bool begins(std::string_view name, std::span<const char *const> with) {
  return std::any_of(with.begin(), with.end(),
                     [&](const char *prefix) { return name.starts_with(prefix); });
}

/// A name, and what else it may be called.
std::vector<std::string> all_names(const recipe::Decoder &decoder, const std::string &name) {
  std::vector<std::string> names = {name};
  for (const OtherName &other : kOtherNames)
    if (decoder.family == other.family && absl::StrContains(name, other.published))
      names.push_back(absl::StrReplaceAll(name, {{other.published, other.of_class}}));
  return names;
}

/// The names of a model's own tensors, from the recipe's: "model.embed_tokens.weight" begins with
/// `prefix`, and is `bare` behind it.
struct Stem {
  explicit Stem(const recipe::Decoder &decoder)
      : embedding(decoder.embedding + ".weight"),
        prefix(embedding.substr(0, embedding.find('.') + 1)), bare(embedding.substr(prefix.size())),
        head(decoder.head.module == decoder.embedding ? "lm_head." : decoder.head.module + ".") {}
  std::string embedding, prefix, bare, head;
};

/// Takes the language model's tensors out of those of another model.
void take_out(const recipe::Decoder &decoder, const Stem &stem, bool is_part,
              StoredTensors &tensors, std::vector<std::string> &notes) {
  std::string around;
  bool whole = true; // names behind `around` are whole ones, with their own prefix
  for (const char *prefix : kAround)
    if (around.empty() && !tensors.list.contains(stem.embedding)) {
      whole = false;
      for (const std::string &name : all_names(decoder, stem.embedding))
        whole |= tensors.list.contains(prefix + name);
      if (whole || tensors.list.contains(prefix + stem.bare))
        around = prefix;
    }
  decltype(tensors.list) kept;
  std::vector<std::string> left;
  for (auto &[name, tensor] : tensors.list) {
    if (!around.empty() && name.starts_with(around)) {
      std::string rest = name.substr(around.size());
      if (!whole && !rest.starts_with(stem.head))
        rest = stem.prefix + rest;
      kept.insert_or_assign(std::move(rest), std::move(tensor));
      continue;
    }
    const bool is_own = name.starts_with(stem.head) || name.starts_with("mtp.") ||
                        (around.empty() && name.starts_with(stem.prefix));
    if (begins(name, kOtherParts) || (is_part && !is_own))
      left.push_back(name);
    else
      kept.emplace(name, std::move(tensor));
  }
  tensors.list = std::move(kept);
  if (!around.empty())
    notes.push_back(absl::StrCat("the tensors of the language model are those in ", around, "*"));
  if (!left.empty())
    notes.push_back(absl::StrCat(
        left.size(), left.size() == 1 ? " tensor" : " tensors", " of other parts (", left.front(),
        left.size() == 1 ? ")" : " and the like)", " left out: text does not pass through them"));
}

/// False, and a problem, where names begin with what a wrapper of torch's puts before them.
bool is_unwrapped(const Stem &stem, const StoredTensors &tensors, Problems &problems) {
  for (const char *wrapper : {"_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module."})
    if (tensors.list.contains(wrapper + stem.embedding) ||
        tensors.list.contains(wrapper + stem.bare)) {
      problems.add(absl::StrCat(wrapper, "*"),
                   absl::StrCat("the tensors' names begin with '", wrapper,
                                "', which torch.compile (_orig_mod) and DataParallel (module) put "
                                "before a model's own"),
                   absl::StrCat("save the model that is inside the wrapper, or rename the tensors: "
                                "without '",
                                wrapper, "'"));
      return false;
    }
  return true;
}

/// Names a bare model's tensors as the whole one's.
void add_prefix(const Stem &stem, StoredTensors &tensors, std::vector<std::string> &notes) {
  const auto first = tensors.list.lower_bound(stem.prefix);
  if (!tensors.list.contains(stem.bare) ||
      (first != tensors.list.end() && first->first.starts_with(stem.prefix)))
    return;
  decltype(tensors.list) named;
  for (auto &[name, tensor] : tensors.list)
    named.emplace(name.starts_with(stem.head) ? name : stem.prefix + name, std::move(tensor));
  tensors.list = std::move(named);
  notes.push_back(absl::StrCat("the tensors are named as a bare model's, without '", stem.prefix,
                               "': they are read as if they had it, as in transformers"));
}

/// Gives tensors that the recipe has another name for that name.
void take_published_names(const recipe::Decoder &decoder, StoredTensors &tensors) {
  if (std::ranges::find(kOtherNames, decoder.family, &OtherName::family) == std::end(kOtherNames))
    return;
  std::set<std::string, std::less<>> wanted;
  for (const recipe::Tensor &tensor : recipe::tensors(decoder))
    for (std::string &name : tensor.file_names())
      wanted.insert(std::move(name));
  for (const std::string &name : wanted)
    for (const std::string &other : all_names(decoder, name))
      if (!tensors.list.contains(name) && !wanted.contains(other))
        if (auto node = tensors.list.extract(other)) {
          node.key() = name;
          tensors.list.insert(std::move(node));
        }
}

/// Cuts the tensors that hold several of the recipe's.
class Cutter {
public:
  Cutter(const NamedRecipe &recipe, StoredTensors &tensors, Problems &problems)
      : recipe_(recipe), tensors_(tensors), problems_(problems) {}

  /// `name`, by any of its names, is of the shape `expected`; its parts are those that `make_parts`
  /// gives, which of all experts are many.
  void cut(const std::string &name, const Shape &expected,
           const std::function<Parts()> &make_parts) {
    for (const std::string &stored : all_names(recipe_.decoder, name)) {
      auto it = tensors_.list.find(stored);
      if (it == tensors_.list.end())
        continue;
      const Parts parts = make_parts();
      if (tensors_.list.contains(parts.front().first))
        continue;
      const Shape shape = it->second.shape;
      if (!recipe_.sizes_are_real)
        pass_over(stored, parts);
      else if (shape != expected)
        refuse(stored, shape, expected, parts);
      else if (absl::Status status = tensors_.cut(stored, parts); !status.ok()) {
        problems_.add(stored, status);
        pass_over(stored, parts);
      } else {
        cut_scales(stored, parts);
      }
    }
  }

private:
  /// Nothing is to be said of these any more.
  void pass_over(const std::string &stored, const Parts &parts) {
    tensors_.reported.insert(stored);
    for (const auto &[part, shape] : parts)
      tensors_.reported.insert(part);
  }
  void refuse(const std::string &stored, const Shape &shape, const Shape &expected,
              const Parts &parts) {
    Shape turned = expected;
    if (turned.size() == 3)
      std::swap(turned[1], turned[2]);
    problems_.add(
        stored,
        absl::StrCat("its shape is ", shape_text(shape), ", and should be ", shape_text(expected)),
        shape == turned
            ? "each expert's matrix lies the other way round than in transformers' class of this "
              "family: load the model in transformers, and save_pretrained"
            : "the files may not belong to this config");
    pass_over(stored, parts);
  }
  /// Codes of fp8 have a scale for each block, in as many rows for each of a part's halves.
  void cut_scales(const std::string &stored, const Parts &parts) {
    const auto it = tensors_.list.find(stored + "_scale_inv");
    if (it == tensors_.list.end() || it->second.shape.size() != 3 || it->second.shape.front() < 1)
      return;
    const Shape shape = it->second.shape;
    const auto halves = static_cast<int64_t>(parts.size()) / shape.front();
    if (halves < 1 || shape[1] % halves)
      return; // not as the parts are: what is there is then said to be too much
    Parts scales;
    for (const auto &[part, unused] : parts)
      scales.emplace_back(part + "_scale_inv", Shape{shape[1] / halves, shape[2]});
    const std::string name = it->first;
    if (absl::Status status = tensors_.cut(name, scales); !status.ok())
      problems_.add(name, status);
  }

  const NamedRecipe &recipe_;
  StoredTensors &tensors_;
  Problems &problems_;
};

void cut_experts(const recipe::Moe &moe, Cutter &cutter) {
  const size_t number = moe.up.weight.find(".#.");
  if (number == std::string::npos || moe.up.rows.stored || moe.up.transposed)
    return;
  const std::string experts = moe.up.weight.substr(0, number);
  const auto parts = [](std::vector<const recipe::ExpertLinear *> linears) {
    return [linears = std::move(linears)] {
      Parts list;
      for (int64_t e = 0; e < linears.front()->experts; ++e)
        for (const recipe::ExpertLinear *l : linears)
          list.emplace_back(absl::StrReplaceAll(l->weight, {{"#", absl::StrCat(e)}}),
                            Shape{l->out, l->in});
      return list;
    };
  };
  const recipe::ExpertLinear &up = moe.up, &down = moe.down;
  if (moe.gate.weight.empty())
    cutter.cut(experts + ".up_proj", {up.experts, up.out, up.in}, parts({&up}));
  else
    cutter.cut(experts + ".gate_up_proj", {up.experts, moe.gate.out + up.out, up.in},
               parts({&moe.gate, &up}));
  cutter.cut(experts + ".down_proj", {down.experts, down.out, down.in}, parts({&down}));
}

/// Convolutions of q, k and v may be one.
void cut_convolutions(const recipe::DeltaNet &mixer, Cutter &cutter) {
  if (mixer.convs.size() < 2)
    return;
  int64_t channels = 0;
  Parts parts;
  for (const recipe::DeltaNet::Conv &conv : mixer.convs) {
    channels += conv.channels;
    parts.emplace_back(conv.module + ".weight", Shape{conv.channels, 1, mixer.kernel});
  }
  cutter.cut(mixer.module + ".conv1d.weight", {channels, 1, mixer.kernel}, [&] { return parts; });
}

} // namespace

bool name_tensors(const std::function<NamedRecipe()> &make, bool is_part, StoredTensors &tensors,
                  Problems &problems, std::vector<std::string> &notes) {
  if (tensors.list.empty())
    return true;
  const recipe::Decoder decoder = make().decoder;
  const Stem stem(decoder);
  take_out(decoder, stem, is_part, tensors, notes);
  if (!tensors.list.contains(stem.embedding)) {
    if (!is_unwrapped(stem, tensors, problems))
      return false;
    add_prefix(stem, tensors, notes);
  }
  // With their names the recipe may be another: some ask which tensors there are.
  const NamedRecipe recipe = make();
  take_published_names(recipe.decoder, tensors);
  Cutter cutter(recipe, tensors, problems);
  for (const recipe::Layer &layer : recipe.decoder.layers)
    for (const recipe::Sublayer &sublayer : layer.sublayers) {
      if (const auto *moe = std::get_if<recipe::Moe>(&sublayer.block))
        cut_experts(*moe, cutter);
      else if (const auto *mixer = std::get_if<recipe::DeltaNet>(&sublayer.block))
        cut_convolutions(*mixer, cutter);
    }
  return true;
}

} // namespace quern::hf

#include "frontends/gguf/GgufModel.h"

#include "frontends/ModelFile.h"
#include "frontends/StoredTensors.h"
#include "frontends/TokenizerNotes.h"
#include "frontends/families/Encoders.h"
#include "frontends/families/Families.h"
#include "frontends/gguf/GgufFile.h"
#include "frontends/gguf/TokenizerMetadata.h"
#include "frontends/recipe/Encodable.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <utility>

namespace quern::gguf {

namespace {

constexpr const char *kConvertAgain = "\nhint: convert the model again with current tools";

/// Keys of one architecture, without its prefix.
class GgufReader final : public ModelReader {
public:
  GgufReader(const GgufFile &file, std::string architecture, const StoredTensors &tensors,
             Problems &problems, std::optional<int64_t> context)
      : ModelReader(tensors, problems, context), file_(file),
        prefix_(std::move(architecture) + ".") {}

private:
  bool lookup(std::string_view key) const override { return file_.has(spelling(key)); }
  bool is_list(std::string_view key) const override {
    const Value *value = file_.find(spelling(key));
    return value && value->type == ValueType::Array;
  }
  // What other readers take is taken: integers of any width, floats that are whole, 0 and 1 for
  // booleans, and a list, an entry a layer, of which all entries are the same.
  absl::StatusOr<int64_t> get_integer(std::string_view key) const override {
    if (is_list(key)) {
      absl::StatusOr<double> number = same_in_all_layers(key);
      return number.ok() ? whole(key, *number) : number.status();
    }
    absl::StatusOr<int64_t> integer = file_.get_int(spelling(key));
    if (integer.ok())
      return integer;
    absl::StatusOr<double> number = file_.get_float(spelling(key));
    return number.ok() ? whole(key, *number) : integer;
  }
  absl::StatusOr<double> get_number(std::string_view key) const override {
    if (is_list(key))
      return same_in_all_layers(key);
    absl::StatusOr<double> number = file_.get_float(spelling(key));
    if (number.ok())
      return number;
    absl::StatusOr<int64_t> integer = file_.get_int(spelling(key));
    return integer.ok() ? absl::StatusOr<double>(static_cast<double>(*integer)) : number;
  }
  absl::StatusOr<bool> get_boolean(std::string_view key) const override {
    absl::StatusOr<bool> flag = file_.get_bool(spelling(key));
    if (flag.ok())
      return flag;
    absl::StatusOr<double> number = is_list(key) ? same_in_all_layers(key) : get_number(key);
    return number.ok() && (*number == 0 || *number == 1) ? absl::StatusOr<bool>(*number == 1)
           : is_list(key) && !number.ok()                ? number.status()
                                                         : flag;
  }
  absl::StatusOr<std::string> get_text(std::string_view key) const override {
    absl::StatusOr<std::string_view> text = file_.get_string(spelling(key));
    return text.ok() ? absl::StatusOr<std::string>(std::string(*text)) : text.status();
  }
  absl::StatusOr<std::vector<std::string>> get_texts(std::string_view key) const override {
    absl::StatusOr<std::vector<std::string_view>> list = file_.get_strings(spelling(key));
    if (!list.ok())
      return list.status();
    return std::vector<std::string>(list->begin(), list->end());
  }
  absl::StatusOr<std::vector<double>> get_numbers(std::string_view key) const override {
    absl::StatusOr<std::vector<float>> floats = file_.get_floats(spelling(key));
    if (floats.ok())
      return std::vector<double>(floats->begin(), floats->end());
    if (absl::StatusOr<std::vector<int64_t>> list = file_.get_ints(spelling(key)); list.ok())
      return std::vector<double>(list->begin(), list->end());
    if (absl::StatusOr<std::vector<bool>> list = file_.get_bools(spelling(key)); list.ok())
      return std::vector<double>(list->begin(), list->end());
    return floats.status();
  }
  void mark(std::string_view key) override { read_.insert(spelling(key)); }
  std::vector<std::string> unread() const override {
    std::vector<std::string> unread;
    // Keys of other prefixes (general., tokenizer., quantize.) are about the file, not the model.
    for (const std::string &key : file_.keys())
      if (key.starts_with(prefix_) && !read_.contains(key))
        unread.push_back(key);
    return unread;
  }
  bool is_there(std::string_view spelled) const override { return file_.has(spelled); }
  std::string spelling(std::string_view key) const override {
    return absl::StrCat(prefix_, std::string(key));
  }

  absl::StatusOr<int64_t> whole(std::string_view key, double number) const {
    constexpr double kMost = 9007199254740992.0; // 2^53: whole numbers up to it are exact
    if (number == std::floor(number) && std::abs(number) <= kMost)
      return static_cast<int64_t>(number);
    return absl::InvalidArgumentError(absl::StrCat("key '", spelling(key), "' is ", number,
                                                   ", which is no whole number", kConvertAgain));
  }

  /// The entry of a list that has one a layer, all of them the same.
  absl::StatusOr<double> same_in_all_layers(std::string_view key) const {
    absl::StatusOr<std::vector<double>> list = get_numbers(key);
    if (!list.ok())
      return list.status();
    const absl::StatusOr<int64_t> layers = file_.get_int(spelling("block_count"));
    const auto entries = static_cast<int64_t>(list->size());
    if (entries == 0 || (layers.ok() && entries != *layers))
      return absl::InvalidArgumentError(
          absl::StrCat("key '", spelling(key), "' is a list of ", entries, " entries for ",
                       layers.ok() ? *layers : 0, " layers", kConvertAgain));
    if (std::adjacent_find(list->begin(), list->end(), std::not_equal_to<>()) == list->end())
      return list->front();
    return absl::InvalidArgumentError(
        absl::StrCat(differs_by_layer(*list),
                     "\nhint: in this family Quern has it only the same in all layers"));
  }

  const GgufFile &file_;
  std::string prefix_;
  std::set<std::string> read_;
};

StoredTensors stored_tensors(const GgufFile &file) {
  StoredTensors stored;
  stored.ones_mean_nothing = true; // llama.cpp's quantizer drops the first, if they are
  for (const auto &mapped : file.files())
    stored.store.add(mapped);
  for (const Tensor &tensor : file.tensors())
    stored.list[tensor.name] = {tensor.shape, tensor.type->format, tensor.type->name, tensor.file,
                                tensor.offset};
  return stored;
}

/// Reads tokenizer.* into the form that the tokenizer's importer takes.
class TokenizerReader {
public:
  TokenizerReader(const GgufFile &file, Problems &problems) : file_(file), problems_(problems) {}

  TokenizerMetadata read() {
    TokenizerMetadata m;
    m.model = text("tokenizer.ggml.model");
    m.pre = text("tokenizer.ggml.pre");
    m.chat_template = text("tokenizer.chat_template");
    m.tokens = copy<std::string>("tokenizer.ggml.tokens", &GgufFile::get_strings);
    m.merges = copy<std::string>("tokenizer.ggml.merges", &GgufFile::get_strings);
    m.token_types = copy<int32_t>("tokenizer.ggml.token_type", &GgufFile::get_ints);
    m.scores = scores();
    m.bos_id = value<int64_t>("tokenizer.ggml.bos_token_id", &GgufFile::get_int);
    m.eos_id = value<int64_t>("tokenizer.ggml.eos_token_id", &GgufFile::get_int);
    m.eot_id = value<int64_t>("tokenizer.ggml.eot_token_id", &GgufFile::get_int);
    m.eom_id = value<int64_t>("tokenizer.ggml.eom_token_id", &GgufFile::get_int);
    m.unk_id = value<int64_t>("tokenizer.ggml.unknown_token_id", &GgufFile::get_int);
    m.sep_id = value<int64_t>("tokenizer.ggml.seperator_token_id", &GgufFile::get_int);
    m.pad_id = value<int64_t>("tokenizer.ggml.padding_token_id", &GgufFile::get_int);
    m.cls_id = value<int64_t>("tokenizer.ggml.cls_token_id", &GgufFile::get_int);
    m.mask_id = value<int64_t>("tokenizer.ggml.mask_token_id", &GgufFile::get_int);
    static constexpr const char *kFillIn[] = {"pre", "suf", "mid", "pad", "rep", "sep"};
    for (size_t i = 0; i < m.fill_in_ids.size(); ++i)
      m.fill_in_ids[i] = value<int64_t>(
          absl::StrCat("tokenizer.ggml.fim_", kFillIn[i], "_token_id"), &GgufFile::get_int);
    m.add_bos = flag("tokenizer.ggml.add_bos_token");
    m.add_eos = flag("tokenizer.ggml.add_eos_token");
    m.add_space_prefix = flag("tokenizer.ggml.add_space_prefix");
    m.remove_extra_whitespaces = flag("tokenizer.ggml.remove_extra_whitespaces");
    m.lowercase = flag("tokenizer.ggml.normalizer.lowercase");
    m.strip_accents = flag("tokenizer.ggml.normalizer.strip_accents");
    for (int64_t byte : value("tokenizer.ggml.precompiled_charsmap", &GgufFile::get_ints)
                            .value_or(std::vector<int64_t>()))
      m.precompiled_charsmap += static_cast<char>(byte);
    m.name = text("general.name");
    return m;
  }

private:
  template <typename T>
  std::optional<T> value(std::string_view key,
                         absl::StatusOr<T> (GgufFile::*get)(std::string_view) const) {
    if (!file_.has(key))
      return std::nullopt;
    absl::StatusOr<T> value = (file_.*get)(key);
    if (value.ok())
      return *std::move(value);
    problems_.add(std::string(key), value.status());
    return std::nullopt;
  }
  /// As numbers of any kind.
  std::vector<float> scores() {
    constexpr std::string_view kKey = "tokenizer.ggml.scores";
    if (file_.get_ints(kKey).ok())
      return copy<float>(kKey, &GgufFile::get_ints);
    return copy<float>(kKey, &GgufFile::get_floats);
  }
  std::optional<bool> flag(std::string_view key) {
    // Some writers have no booleans.
    if (const absl::StatusOr<int64_t> number = file_.get_int(key);
        number.ok() && (*number == 0 || *number == 1))
      return *number == 1;
    return value<bool>(key, &GgufFile::get_bool);
  }
  std::string text(std::string_view key) {
    return std::string(value(key, &GgufFile::get_string).value_or(""));
  }
  template <typename To, typename From>
  std::vector<To> copy(std::string_view key,
                       absl::StatusOr<std::vector<From>> (GgufFile::*get)(std::string_view) const) {
    std::vector<To> copied;
    for (const From &element : value(key, get).value_or(std::vector<From>()))
      copied.push_back(static_cast<To>(element));
    return copied;
  }

  const GgufFile &file_;
  Problems &problems_;
};

void load_tokenizer(const GgufFile &file, LoadedModel &model, Problems &problems) {
  const absl::StatusOr<std::string_view> kind = file.get_string("tokenizer.ggml.model");
  if (!file.has("tokenizer.ggml.model") ||
      (kind.ok() && (*kind == "none" || *kind == "no_vocab"))) { // llama.cpp's words for it
    model.notes.push_back("the file has no tokenizer: what needs text will refuse");
    return;
  }
  size_t before = problems.size();
  TokenizerMetadata metadata = TokenizerReader(file, problems).read();
  if (problems.size() > before)
    return;
  absl::StatusOr<text::TokenizerSpec> spec = tokenizer_from_metadata(metadata, &model.notes);
  if (!spec.ok()) {
    problems.add("tokenizer", spec.status());
    return;
  }
  for (std::string &note :
       tokenizer_notes(*spec, model.decoder.vocab, model.decoder.encoding.has_value()))
    model.notes.push_back(std::move(note));
  if (static_cast<int64_t>(spec->tokens.size()) < model.decoder.vocab)
    model.notes.push_back(absl::StrCat("the tokenizer has ", spec->tokens.size(),
                                       " tokens and the model ", model.decoder.vocab));
  model.tokenizer = text::serialize(*spec);
}

void note_zeros(const GgufFile &file, LoadedModel &model) {
  std::vector<const Tensor *> last(file.files().size());
  for (const Tensor &tensor : file.tensors())
    if (const Tensor *&other = last[static_cast<size_t>(tensor.file)];
        !other || other->offset < tensor.offset)
      other = &tensor;
  for (size_t i = 0; i < last.size(); ++i)
    if (last[i] && ends_in_zeros(file.files()[i]->bytes(), last[i]->bytes))
      model.notes.push_back(zeros_note(file.files()[i]->path()));
}

} // namespace

LoadedModel load_model(const std::string &path, const ImportOptions &options, Problems &problems) {
  LoadedModel model;
  absl::StatusOr<GgufFile> file = GgufFile::open(path);
  if (!file.ok()) {
    problems.add_file(path, file.status());
    return model;
  }
  note_zeros(*file, model);
  // A GGUF file may also hold an adapter, a vision encoder or an importance matrix.
  if (absl::StatusOr<std::string_view> type = file->get_string("general.type");
      type.ok() && *type != "model") {
    problems.add("general.type", absl::StrCat("the file holds '", std::string(*type), "'"),
                 "give the model's file");
    return model;
  }
  absl::StatusOr<std::string_view> architecture = file->get_string("general.architecture");
  if (!architecture.ok()) {
    problems.add("general.architecture", architecture.status());
    return model;
  }
  const Family *family = find_gguf_family(*architecture);
  if (!family) {
    load_tokenizer(*file, model, problems); // what else is wrong is said too
    problems.add("general.architecture",
                 absl::StrCat("the architecture '", std::string(*architecture), "' is not known"),
                 absl::StrCat("Quern reads ", gguf_family_names(), " from GGUF"));
    return model;
  }
  if (file->tensors().empty() && !options.synthetic) {
    // llama.cpp's tests have files of a tokenizer alone, ggml-vocab-*.gguf.
    problems.add(path,
                 file->has("tokenizer.ggml.tokens")
                     ? "the file holds a vocabulary alone, no weights"
                     : "the file holds no weights",
                 "give the model's file");
    return model;
  }

  StoredTensors tensors = stored_tensors(*file);
  GgufReader reader(*file, std::string(*architecture), tensors, problems, options.context);
  reader.read_elsewhere({"general.architecture", "general.type", "general.alignment",
                         "general.name", "tokenizer", "split"});
  model.decoder = family->from_gguf(reader);
  // A decoder of which vectors are made says how its rows are pooled.
  constexpr int64_t kLast = 3; // 4 ranks texts
  const int64_t pooling = reader.integer("pooling_type", std::numeric_limits<int64_t>::min(),
                                         std::numeric_limits<int64_t>::max(), 0);
  if (!model.decoder.encoding && pooling > 0 && pooling <= kLast &&
      recipe::can_encode(model.decoder)) {
    encode_gguf(reader, model.decoder);
    for (const char *part : {".weight", ".bias"})
      tensors.harmless[model.decoder.head.module + part] = "no token is asked for";
    model.notes.push_back("pooling_type says that vectors are made of its texts: it is compiled as "
                          "an encoder");
  }
  model.encoder.max_length = model.decoder.context;
  model.formats = tensors.formats();
  reader.check_unread(options.ignored_keys);
  for (std::string &note : reader.take_notes())
    model.notes.push_back(std::move(note));
  load_tokenizer(*file, model, problems);
  if (!reader.sizes_are_real()) {
    if (!options.synthetic)
      tensors.report_missing(model.decoder, problems);
    return model;
  }
  const std::vector<recipe::Tensor> wanted = recipe::tensors(model.decoder);
  recipe::check(model.decoder, problems);
  if (options.synthetic) {
    model.source = recipe::synthetic_source(wanted, "f32", *options.synthetic);
    return model;
  }
  model.source.files = tensors.paths();
  model.source.places = tensors.place(wanted, reader.taken(), problems);
  if (!options.identify)
    return model;
  absl::StatusOr<uint64_t> hash = tensors.hash();
  if (hash.ok())
    model.weights_hash = *hash;
  else
    problems.add(path, hash.status());
  return model;
}

} // namespace quern::gguf

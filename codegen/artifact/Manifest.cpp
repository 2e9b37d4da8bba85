#include "codegen/artifact/Manifest.h"

#include "codegen/artifact/Plan.h"
#include "codegen/artifact/Signatures.h"
#include "codegen/artifact/Weights.h"
#include "passes/target/Target.h"
#include "runtime/abi/StepArgs.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/Layout.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace quern::artifact {
namespace {

template <typename T> using Offsets = std::vector<flatbuffers::Offset<T>>;

class ManifestBuilderOf {
public:
  ManifestBuilderOf(std::span<const mlir::ModuleOp> modules, const ManifestExtras &extras)
      : modules_(modules), module_(modules.front()), extras_(extras) {
    // Numbers that are zero now and are not when the manifest is made again take their room.
    fbb_.ForceDefaults(true);
  }

  absl::StatusOr<std::string> build(const std::vector<SectionEntry> &sections,
                                    const std::vector<formats::ErrorStats> &errors) {
    std::vector<PlannedBucket> buckets; // of all targets, in their order
    for (mlir::ModuleOp module : modules_) {
      auto planned = planned_buckets(module);
      if (!planned.ok())
        return planned.status();
      buckets.insert(buckets.end(), planned->begin(), planned->end());
    }
    auto sizes = planned_sizes(module_);
    if (!sizes.ok())
      return sizes.status();
    auto model = module_->getAttrOfType<mlir::DictionaryAttr>(attrs::kModel);
    if (!model)
      return absl::InternalError("the module has no quern.model");
    auto family = model.getAs<mlir::StringAttr>(attrs::kModelFamily);
    auto vocab = model.getAs<mlir::IntegerAttr>(attrs::kModelVocab);

    const auto section_table = this->sections(sections);
    const auto kernel_table = kernels();
    auto entry_table = entries(buckets);
    if (!entry_table.ok())
      return entry_table.status();
    const auto state_table = states();
    const auto group_table = groups(*sizes);
    const auto weight_table = weights(errors);
    const auto variant_table = variants();
    const auto flags = fbb_.CreateVectorOfStrings(extras_.flags);
    const auto made = fbb_.CreateVectorOfStructs(extras_.made);
    const auto kept = fbb_.CreateVectorOfStructs(extras_.kept);
    const auto producer = fbb_.CreateString(extras_.producer);
    const auto source = fbb_.CreateString(extras_.source);
    const auto family_text = fbb_.CreateString(family ? family.str() : std::string());

    flatbuffers::Offset<Encoder> encoder_table;
    if (extras_.encoder)
      encoder_table = encoder(*extras_.encoder);
    ManifestBuilder manifest(fbb_);
    manifest.add_abi_version(QUERN_ABI_VERSION);
    manifest.add_producer(producer);
    manifest.add_family(family_text);
    manifest.add_source(source);
    manifest.add_source_hash(extras_.source_hash);
    manifest.add_synthetic(model.contains(attrs::kModelSynthetic));
    // No step, no tokens.
    const bool steps = extras_.encoder || llvm::any_of(buckets, [](const PlannedBucket &bucket) {
                         return !bucket.shape.sized;
                       });
    manifest.add_context(steps ? static_cast<uint32_t>(extras_.context) : 0);
    manifest.add_max_tokens(steps ? static_cast<uint32_t>(extras_.max_tokens) : 0);
    manifest.add_max_seqs(steps ? static_cast<uint32_t>(extras_.max_seqs) : 0);
    manifest.add_vocab(vocab ? static_cast<uint32_t>(vocab.getInt()) : 0);
    manifest.add_sections(section_table);
    manifest.add_entries(*entry_table);
    manifest.add_kernels(kernel_table);
    manifest.add_states(state_table);
    manifest.add_kv_groups(group_table);
    manifest.add_slot_bytes(sizes->slot_bytes);
    manifest.add_weights(weight_table);
    manifest.add_variants(variant_table);
    manifest.add_flops_per_token(decode_flops(buckets));
    manifest.add_flags(flags);
    manifest.add_weights_bytes(extras_.weights_bytes);
    if (extras_.weights_bytes != 0) {
      manifest.add_made(made);
      manifest.add_kept(kept);
    }
    if (extras_.encoder)
      manifest.add_encoder(encoder_table);
    FinishManifestBuffer(fbb_, manifest.Finish());
    return std::string(reinterpret_cast<const char *>(fbb_.GetBufferPointer()), fbb_.GetSize());
  }

private:
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<Section>>>
  sections(const std::vector<SectionEntry> &entries) {
    Offsets<Section> table;
    for (const SectionEntry &s : entries)
      table.push_back(CreateSection(fbb_, s.kind, fbb_.CreateString(s.name), s.offset,
                                    padded_to_page(s.bytes), s.bytes, s.checksum));
    return fbb_.CreateVector(table);
  }

  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<Kernel>>> kernels() {
    Offsets<Kernel> table;
    for (mlir::ModuleOp module : modules_)
      for (auto kernel : module.getOps<KernelOp>()) {
        kernel_index_[kernel] = static_cast<uint32_t>(table.size());
        table.push_back(CreateKernel(fbb_, fbb_.CreateString(kernel.getSymName().str()),
                                     fbb_.CreateString(stringifyAnchor(kernel.getAnchor()).str()),
                                     fbb_.CreateString(target_of(module))));
      }
    return fbb_.CreateVector(table);
  }

  absl::StatusOr<flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<Entry>>>>
  entries(const std::vector<PlannedBucket> &buckets) {
    std::vector<std::string> names;
    std::map<std::string, Offsets<Bucket>> by_entry;
    std::map<std::string, mlir::func::FuncOp> signature;
    for (const PlannedBucket &bucket : buckets) {
      if (!by_entry.contains(bucket.entry))
        names.push_back(bucket.entry);
      by_entry[bucket.entry].push_back(this->bucket(bucket));
      signature[bucket.entry] = bucket.func;
    }
    Offsets<Entry> table;
    for (const std::string &name : names) {
      mlir::func::FuncOp func = signature[name];
      const bool sized = func->hasAttr(attrs::kSized);
      const symbols::Maxima maxima = sizesOf(func);
      // Without a size, what is said of dimensions is nothing.
      const symbols::Maxima *sizes = sized && !maxima.empty() ? &maxima : nullptr;
      Offsets<TensorDesc> inputs;
      Offsets<TensorDesc> outputs;
      for (mlir::BlockArgument argument : func.getArguments()) {
        // The batch, and which rows are wanted, come with the step and not as tensors.
        if (mlir::isa<BatchType>(argument.getType()) ||
            (isIndices(argument.getType()) && rowsOf(argument.getType()) == "R"))
          continue;
        auto desc = tensor_desc(
            fbb_, argument_name(argument), argument.getType(),
            func.getArgAttrOfType<mlir::StringAttr>(argument.getArgNumber(), attrs::kElement),
            sizes);
        if (!desc.ok())
          return desc.status();
        inputs.push_back(*desc);
      }
      for (unsigned i = 0; i < func.getNumResults(); ++i) {
        auto label = func.getResultAttrOfType<mlir::StringAttr>(i, attrs::kName);
        auto desc =
            tensor_desc(fbb_,
                        label            ? label.str()
                        : name == "step" ? "logits"
                                         : absl::StrCat("output", i),
                        func.getResultTypes()[i],
                        func.getResultAttrOfType<mlir::StringAttr>(i, attrs::kElement), sizes);
        if (!desc.ok())
          return desc.status();
        outputs.push_back(*desc);
      }
      auto of_entry =
          entry_sizes(fbb_, sizes ? maxima : symbols::Maxima(), countedSizesOf(module_));
      if (!of_entry.ok())
        return of_entry.status();
      auto equal = equal_sizes(fbb_, func, maxima);
      if (!equal.ok())
        return equal.status();
      table.push_back(CreateEntry(fbb_, fbb_.CreateString(name), fbb_.CreateVector(inputs),
                                  fbb_.CreateVector(outputs), fbb_.CreateVector(by_entry[name]),
                                  *of_entry, *equal));
    }
    return fbb_.CreateVector(table);
  }

  static std::string argument_name(mlir::BlockArgument argument) {
    auto func = mlir::cast<mlir::func::FuncOp>(argument.getOwner()->getParentOp());
    if (auto label = func.getArgAttrOfType<mlir::StringAttr>(argument.getArgNumber(), attrs::kName))
      return label.str();
    if (isIndices(argument.getType()) && rowsOf(argument.getType()) == "T")
      return "tokens";
    return absl::StrCat("input", argument.getArgNumber());
  }

  flatbuffers::Offset<Bucket> bucket(const PlannedBucket &planned) {
    Offsets<Dispatch> dispatches;
    for (DispatchOp dispatch : planned.dispatches)
      dispatches.push_back(this->dispatch(dispatch));
    Offsets<Buffer> buffers;
    for (const LiveBuffer &buffer : liveBuffers(planned.func, planned.shape)) {
      if (buffer.is_output)
        continue;
      DispatchOp dispatch = buffer.dispatch;
      std::string name = dispatch.getLabel().str();
      int64_t offset = 0;
      if (buffer.value) {
        const unsigned result = buffer.value.getResultNumber();
        if (dispatch->getNumResults() > 1)
          absl::StrAppend(&name, "#", result);
        offset = dispatch.getOffsets() ? (*dispatch.getOffsets())[result] : 0;
      } else {
        name += "#scratch";
        offset = static_cast<int64_t>(dispatch.getScratch().value_or(0));
      }
      buffers.push_back(CreateBuffer(fbb_, fbb_.CreateString(name), static_cast<uint64_t>(offset),
                                     static_cast<uint64_t>(buffer.bytes),
                                     static_cast<uint32_t>(buffer.first),
                                     static_cast<uint32_t>(buffer.last)));
    }
    return CreateBucket(fbb_, fbb_.CreateString(planned.name),
                        fbb_.CreateString(absl::StrCat("quern_", planned.entry, "_", planned.name)),
                        /*min_tokens=*/1, static_cast<uint32_t>(planned.shape.max_tokens),
                        static_cast<uint32_t>(planned.shape.max_seqs), planned.arena,
                        planned.arena_bound, fbb_.CreateVector(dispatches),
                        fbb_.CreateVector(buffers), fbb_.CreateString(target_of(planned.func)));
  }

  flatbuffers::Offset<Dispatch> dispatch(DispatchOp planned) {
    auto kernel = symbols_.lookupNearestSymbolFrom<KernelOp>(planned, planned.getKernelAttr());
    const Flops flops = kernel.anchorFacts().flops;
    const WeightBytes weights = weight_bytes(planned, kernel);
    const bool wanted =
        planned->getNumResults() > 0 && is_counted_by(planned->getResult(0).getType(), "R");
    std::vector<uint32_t> states;
    for (mlir::Value input : planned.getInputs())
      if (auto ref = input.getDefiningOp<StateRefOp>())
        states.push_back(state_index(ref.getName()));
    return CreateDispatch(fbb_, kernel_index_[kernel], fbb_.CreateString(planned.getLabel().str()),
                          weights.step, wanted, flops.row, flops.position,
                          fbb_.CreateVector(states), weights.row,
                          fault_sites(fbb_, planned, kernel));
  }

  // A state's place in the table that states() makes.
  uint32_t state_index(llvm::StringRef name) {
    if (state_index_.empty())
      for (auto state : module_.getOps<DeclareStateOp>())
        state_index_.try_emplace(state.getSymName(), state_index_.size());
    return state_index_.lookup(name);
  }

  // Packed bytes that a dispatch reads once a step, and for each row of its results.
  struct WeightBytes {
    uint64_t step = 0;
    uint64_t row = 0;
  };
  WeightBytes weight_bytes(DispatchOp dispatch, KernelOp kernel) {
    const MatrixUse matrix = kernel.anchorFacts().matrix;
    WeightBytes sum;
    for (auto [input, argument] :
         llvm::zip_equal(dispatch.getInputs(), kernel.getBody().getArguments()))
      if (PackedOp packed = packed_weight(input, symbols_)) {
        const uint64_t bytes = packed.getBytes().value_or(0);
        if (matrix.slices != 0 && matrix.operand->get() == argument)
          sum.row += bytes / static_cast<uint64_t>(packed.getType().getShape()[0]) *
                     static_cast<uint64_t>(matrix.slices);
        else
          sum.step += bytes;
      }
    return sum;
  }

  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<State>>> states() {
    Offsets<State> table;
    for (auto state : module_.getOps<DeclareStateOp>()) {
      auto type = mlir::cast<StateType>(state.getType());
      const auto kind = static_cast<artifact::StateKind>(type.getKind());
      table.push_back(CreateState(fbb_, fbb_.CreateString(state.getSymName().str()), kind,
                                  fbb_.CreateVector(type.getShape().vec()),
                                  static_cast<uint32_t>(state.getGroup().value_or(0)),
                                  state.getOffset().value_or(0),
                                  static_cast<uint64_t>(stateBytes(type)),
                                  fbb_.CreateString(stringifyStateFormat(type.getFormat()).str())));
    }
    return fbb_.CreateVector(table);
  }

  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<KvGroup>>>
  groups(const PlannedSizes &sizes) {
    Offsets<KvGroup> table;
    for (const PlannedKvGroup &group : sizes.kv_groups)
      table.push_back(CreateKvGroup(fbb_, group.page_bytes, static_cast<uint32_t>(group.window)));
    return fbb_.CreateVector(table);
  }

  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<Weight>>>
  weights(const std::vector<formats::ErrorStats> &errors) {
    Offsets<Weight> table;
    for (PackedOp packed : packed_in_order(module_)) {
      const auto shape = packed.getType().getShape().vec();
      double count = 1;
      for (const int64_t dim : shape)
        count *= static_cast<double>(dim);
      const auto bytes = static_cast<uint64_t>(packed.getBytes().value_or(0));
      const size_t i = table.size();
      const double error = i < errors.size() ? std::sqrt(errors[i].relative_energy()) : 0;
      table.push_back(
          CreateWeight(fbb_, fbb_.CreateString(packed.getSymName().str()),
                       fbb_.CreateString(packed.getType().getFormat().str()),
                       fbb_.CreateString(packed.getPacking().str()), fbb_.CreateVector(shape),
                       packed.getOffset().value_or(0), bytes,
                       count > 0 ? static_cast<float>(8.0 * static_cast<double>(bytes) / count) : 0,
                       static_cast<float>(error)));
    }
    return fbb_.CreateVector(table);
  }

  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<Variant>>> variants() {
    Offsets<Variant> table;
    for (const auto &variant : extras_.variants)
      table.push_back(CreateVariant(fbb_, fbb_.CreateString(variant.name),
                                    fbb_.CreateVectorOfStrings(variant.features),
                                    fbb_.CreateString(variant.target)));
    return fbb_.CreateVector(table);
  }

  flatbuffers::Offset<Encoder> encoder(const ManifestExtras::Encoder &of) {
    Offsets<Prompt> prompts;
    for (const auto &[name, text] : of.prompts)
      prompts.push_back(CreatePrompt(fbb_, fbb_.CreateString(name), fbb_.CreateString(text)));
    return CreateEncoder(fbb_, static_cast<uint32_t>(of.max_length), fbb_.CreateVector(prompts),
                         fbb_.CreateString(of.default_prompt),
                         fbb_.CreateVectorOfStrings(of.labels));
  }

  // The bucket that decodes one token is the one with the smallest step.
  uint64_t decode_flops(const std::vector<PlannedBucket> &buckets) {
    const auto smallest =
        std::min_element(buckets.begin(), buckets.end(), [](const auto &a, const auto &b) {
          return a.shape.max_tokens < b.shape.max_tokens;
        });
    return flops_per_token(*smallest, symbols_);
  }

  // Whether the type's rows are.
  static bool is_counted_by(mlir::Type type, llvm::StringRef symbol) {
    if (mlir::isa<Q8RowsType>(type))
      return rowsOf(type) == symbol;
    llvm::ArrayRef<mlir::StringAttr> names = dimNames(type);
    return !names.empty() && names.front() == symbol;
  }

  static std::string target_of(mlir::Operation *op) { return target::of(op).name.str(); }

  std::span<const mlir::ModuleOp> modules_; ///< one a target
  mlir::ModuleOp module_;                   ///< the first, for what they share
  const ManifestExtras &extras_;
  flatbuffers::FlatBufferBuilder fbb_;
  llvm::DenseMap<mlir::Operation *, uint32_t> kernel_index_;
  llvm::StringMap<uint32_t> state_index_;
  mlir::SymbolTableCollection symbols_; ///< of thousands of weights: not looked through each time
};

} // namespace

absl::StatusOr<std::string> build_manifest(std::span<const mlir::ModuleOp> planned,
                                           const ManifestExtras &extras,
                                           const std::vector<SectionEntry> &sections,
                                           const std::vector<formats::ErrorStats> &errors) {
  return ManifestBuilderOf(planned, extras).build(sections, errors);
}

absl::Status check_limits(std::span<const mlir::ModuleOp> planned, const ManifestExtras &extras) {
  const auto sizes = planned_sizes(planned.front());
  if (!sizes.ok())
    return sizes.status();
  const auto manifest = build_manifest(planned, extras, {}, {});
  if (!manifest.ok())
    return manifest.status();
  const absl::Status status = validate(*GetManifest(manifest->data()), sizes->weights);
  if (status.ok())
    return status;
  std::string text(status.message());
  text.resize(std::min(text.find("\nhint: "), text.size()));
  const auto bounds = planned.front()->getAttrOfType<mlir::DictionaryAttr>(attrs::kSizes);
  return absl::FailedPreconditionError(
      absl::StrCat("the plan is beyond what quern-run takes: ", text, "\nhint: ",
                   !bounds          ? "a smaller -c, --max-tokens or --max-seqs, or a smaller model"
                   : bounds.empty() ? "no machine runs that: take a model whose tensors fit"
                                    : "bound its sizes: --dim NAME=MAX"));
}

} // namespace quern::artifact

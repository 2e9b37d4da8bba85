#include "passes/analysis/Buffers.h"

#include "ir/formats/Packing.h"
#include "passes/analysis/PanelBytes.h"
#include "runtime/abi/KvFormats.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

bool isKnownSymbol(StringRef symbol) { return symbol == "T" || symbol == "B" || symbol == "R"; }

int64_t BucketShape::most(StringRef symbol) const {
  if (symbol == "R")
    return max_rows;
  if (isKnownSymbol(symbol))
    return symbol == "B" ? max_seqs : max_tokens;
  const std::optional<symbols::Dim> dim = dimOf(symbol, sizes);
  return dim ? mostOf(*dim, sizes) : kTooMany;
}

FailureOr<BucketShape> bucketShape(func::FuncOp bucket) {
  BucketShape shape;
  shape.target = &target::of(bucket);
  shape.sized = bucket->hasAttr(attrs::kSized);
  shape.sizes = sizesOf(bucket);
  for (auto [name, field] :
       {std::pair(attrs::kMaxTokens, &shape.max_tokens),
        std::pair(attrs::kMaxSeqs, &shape.max_seqs), std::pair(attrs::kMaxRows, &shape.max_rows)}) {
    auto attr = bucket->getAttrOfType<IntegerAttr>(name);
    if (!attr || attr.getInt() <= 0)
      return bucket.emitError("a bucket has a positive `") << name << "`";
    *field = attr.getInt();
  }
  return shape;
}

int64_t rowBytes(Type type, const target::Target &target) {
  int64_t cols = colsOf(type);
  if (auto q8 = dyn_cast<Q8RowsType>(type))
    return q8.getBlocks() * target.q8RowBytes(cols / q8.getBlocks());
  return cols * 4;
}

int64_t bufferBytes(Type type, const BucketShape &shape) {
  __int128 bytes = 1;
  auto times = [&](int64_t count) { bytes = std::min<__int128>(bytes * count, kTooMany); };
  if (isa<Q8RowsType>(type)) {
    times(shape.most(rowsOf(type)));
    times(rowBytes(type, *shape.target));
  } else {
    auto tensor = cast<RankedTensorType>(type);
    times(elementBytes(tensor.getElementType()));
    ArrayRef<StringAttr> names = dimNames(type);
    for (int64_t dim : tensor.getShape()) {
      if (!ShapedType::isDynamic(dim)) {
        times(dim);
        continue;
      }
      times(names.empty() ? kTooMany : shape.most(names.front()));
      names = names.drop_front(names.empty() ? 0 : 1);
    }
  }
  // An empty tensor has a place of its own all the same.
  return llvm::alignTo(std::max<int64_t>(static_cast<int64_t>(bytes), 1), kBufferAlignment);
}

static int64_t count(ArrayRef<int64_t> shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t(1), std::multiplies<>());
}

int64_t packedBytes(PackedOp packed) {
  ArrayRef<int64_t> shape = packed.getType().getShape();
  if (packed.getPacking() == "rows")
    return count(shape) * 4;
  // The schedule phase's verifier has checked that it is the format's packing, of a matrix.
  return panelBytes(packed.getType(), *formats::parse_packing(packed.getPacking().str()));
}

std::string kvFormatNames() {
  std::string names;
#define QUERN_NAME(NAME, TYPE, FACTS) names += #NAME ", ";
  QUERN_FOR_EACH_KV_FORMAT(QUERN_NAME)
#undef QUERN_NAME
  return names;
}

int64_t kvPartBytes(StateFormat format, int64_t dim) {
#define QUERN_AGREES(NAME, TYPE, FACTS)                                                            \
  static_assert(static_cast<int>(KvFormat::NAME) == static_cast<int>(StateFormat::NAME));
  QUERN_FOR_EACH_KV_FORMAT(QUERN_AGREES)
#undef QUERN_AGREES
  return kv_part_bytes(static_cast<KvFormat>(format), dim);
}

int64_t kvHeadBytes(StateType type) {
  ArrayRef<int64_t> shape = type.getShape();
  const int64_t keys = kvPartBytes(type.getFormat(), shape[1]);
  return type.getShared() ? keys : keys + kvPartBytes(type.getFormat(), shape[2]);
}

int64_t stateBytes(StateType type) {
  ArrayRef<int64_t> shape = type.getShape();
  if (type.getKind() == StateKind::kv)
    return shape[0] * kvHeadBytes(type);
  return count(shape) * 4;
}

int64_t scratchBytes(KernelOp kernel, bool single) {
  return single ? target::of(kernel).scratchBytes(kernel.anchorFacts().partials) : 0;
}

int64_t scratchBytes(DispatchOp dispatch, const BucketShape &shape) {
  if (!shape.single()) // before its kernel is looked for
    return 0;
  return scratchBytes(
      SymbolTable::lookupNearestSymbolFrom<KernelOp>(dispatch, dispatch.getKernelAttr()), true);
}

std::vector<LiveBuffer> liveBuffers(func::FuncOp bucket, const BucketShape &shape) {
  DenseMap<Operation *, int64_t> number;
  for (auto dispatch : bucket.getOps<DispatchOp>())
    number.try_emplace(dispatch, number.size());
  std::vector<LiveBuffer> buffers;
  for (auto dispatch : bucket.getOps<DispatchOp>()) {
    int64_t first = number.lookup(dispatch);
    for (OpResult result : dispatch->getOpResults()) {
      LiveBuffer buffer{dispatch, result, bufferBytes(result.getType(), shape),
                        first,    first,  false};
      for (Operation *user : result.getUsers()) {
        if (auto found = number.find(user); found != number.end())
          buffer.last = std::max(buffer.last, found->second);
        else
          buffer.is_output |= isa<func::ReturnOp>(user);
      }
      buffers.push_back(buffer);
    }
    if (int64_t bytes = scratchBytes(dispatch, shape))
      buffers.push_back({dispatch, {}, bytes, first, first, false});
  }
  return buffers;
}

} // namespace quern

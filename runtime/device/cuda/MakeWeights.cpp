#include "runtime/device/cuda/MakeWeights.h"

#include "runtime/artifact/MadeWeights.h"
#include "runtime/device/cuda/Kernels.h"
#include "runtime/device/cuda/Upload.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>

namespace quern::device::cuda {
namespace {

constexpr const char *kName = "quern_make_weights";

// A thread makes one word after the other, as made_word does. `shape` has a weight's numbers, in
// the order of Numbers below.
constexpr const char *kPtx = R"(.version 7.4
.target sm_80
.address_size 64
.visible .entry quern_make_weights(.param .u64 to, .param .u64 words, .param .u64 shape)
{
  .reg .pred %p<8>;
  .reg .b32 %r<8>;
  .reg .b64 %d<40>;
  ld.param.u64 %d0, [to];
  ld.param.u64 %d1, [words];
  ld.param.u64 %d2, [shape];
  cvta.to.global.u64 %d0, %d0;
  cvta.to.global.u64 %d2, %d2;
  ld.global.u64 %d3, [%d2];
  ld.global.u64 %d4, [%d2+8];
  ld.global.u64 %d5, [%d2+16];
  ld.global.u64 %d6, [%d2+24];
  ld.global.u64 %d7, [%d2+32];
  ld.global.u64 %d8, [%d2+40];
  ld.global.u64 %d9, [%d2+48];
  ld.global.u64 %d10, [%d2+56];
  mov.u32 %r0, %ctaid.x;
  mov.u32 %r1, %ntid.x;
  mov.u32 %r2, %tid.x;
  mov.u32 %r3, %nctaid.x;
  mul.wide.u32 %d11, %r0, %r1;
  cvt.u64.u32 %d12, %r2;
  add.s64 %d11, %d11, %d12;
  mul.wide.u32 %d13, %r3, %r1;
WORD:
  setp.ge.u64 %p0, %d11, %d1;
  @%p0 bra END;
  shl.b64 %d14, %d11, 3;
  rem.u64 %d15, %d14, %d4;
  rem.u64 %d15, %d15, %d5;
  mov.u64 %d16, 0;
  setp.lt.u64 %p1, %d15, %d6;
  @%p1 bra SUPER;
  sub.s64 %d15, %d15, %d6;
  rem.u64 %d15, %d15, %d8;
  setp.lt.u64 %p2, %d15, %d9;
  @%p2 bra MAKE;
  setp.lt.u64 %p3, %d15, %d10;
  selp.b64 %d16, 16, 32, %p3;
  bra.uni MAKE;
SUPER:
  setp.lt.u64 %p4, %d15, %d7;
  selp.b64 %d16, 48, 64, %p4;
MAKE:
  add.s64 %d17, %d2, %d16;
  ld.global.u64 %d18, [%d17+64];
  ld.global.u64 %d19, [%d17+72];
  add.s64 %d20, %d11, 1;
  mul.lo.s64 %d20, %d20, -7046029254386353131;
  add.s64 %d20, %d20, %d3;
  shr.u64 %d21, %d20, 30;
  xor.b64 %d20, %d20, %d21;
  mul.lo.s64 %d20, %d20, -4658895280553007687;
  shr.u64 %d21, %d20, 27;
  xor.b64 %d20, %d20, %d21;
  mul.lo.s64 %d20, %d20, -7723592293110705685;
  shr.u64 %d21, %d20, 31;
  xor.b64 %d20, %d20, %d21;
  and.b64 %d20, %d20, %d18;
  or.b64 %d20, %d20, %d19;
  add.s64 %d22, %d0, %d14;
  st.global.u64 [%d22], %d20;
  add.s64 %d11, %d11, %d13;
  bra.uni WORD;
END:
  ret;
}
)";

// A weight's numbers as the kernel reads them: key, panel, run, super, super_min, record, code,
// min, then mask and bits of each kind.
using Numbers = std::array<uint64_t, 8 + 2 * 5>;

Numbers numbers_of(const artifact::MadeWeight &weight) {
  Numbers numbers = {weight.key(),       weight.panel(),  weight.run(),  weight.super(),
                     weight.super_min(), weight.record(), weight.code(), weight.min()};
  for (flatbuffers::uoffset_t kind = 0; kind < 5; ++kind) {
    numbers[8 + 2 * kind] = weight.mask()->Get(kind);
    numbers[9 + 2 * kind] = weight.bits()->Get(kind);
  }
  return numbers;
}

} // namespace

absl::Status make_weights(const std::shared_ptr<const Gpu> &gpu, Stream stream,
                          const artifact::Artifact &artifact, DevicePtr weights) {
  constexpr uint32_t kThreads = 256;
  const Driver &driver = gpu->driver();
  const std::vector<artifact::MadeWeight> made = artifact::made_weights(artifact.manifest());
  std::vector<Numbers> numbers;
  for (const artifact::MadeWeight &weight : made)
    numbers.push_back(numbers_of(weight));
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t *>(numbers.data()),
                                       numbers.size() * sizeof(Numbers));
  auto table = allocate(gpu, bytes.size(), "the making of weights");
  if (!table.ok())
    return table.status();
  if (absl::Status status = upload(gpu, stream, table->get(), bytes); !status.ok())
    return status;
  auto module = load_module(gpu, {kName, kPtx, {}}, /*only_ptx=*/true);
  if (!module.ok())
    return module.status();
  auto kernel = load_kernel(*gpu, module->get(), kName, 0, kThreads);
  if (!kernel.ok())
    return kernel.status();
  Result result = driver.set(weights, 0, artifact.weights_bytes(), stream);
  for (size_t i = 0; result == kSuccess && i < made.size(); ++i) {
    std::array<uint64_t, 3> given = {weights + made[i].offset(), made[i].bytes() / sizeof(uint64_t),
                                     table->get() + i * sizeof(Numbers)};
    std::array<void *, 3> parameters = {&given[0], &given[1], &given[2]};
    const uint64_t blocks = std::clamp<uint64_t>(given[1] / kThreads, 1, kernel->resident);
    result = driver.launch(kernel->function, static_cast<unsigned>(blocks), 1, 1, kThreads, 1, 1, 0,
                           stream, parameters.data(), nullptr);
  }
  if (result == kSuccess)
    result = driver.stream_synchronize(stream);
  if (result != kSuccess)
    return driver.status(result, "making the weights");
  const std::span<const uint8_t> section = artifact.weights();
  for (const artifact::KeptWeight &weight : artifact::kept_weights(artifact.manifest()))
    if (absl::Status status = upload(gpu, stream, weights + weight.offset(),
                                     section.subspan(weight.at(), weight.bytes()));
        !status.ok())
      return status;
  return absl::OkStatus();
}

} // namespace quern::device::cuda

// See PtxVersion.h. NVRTC stamps its PTX with its own newest version, which only a driver as new
// takes; what is written in the text is mostly much older. Each instruction is an opcode and its
// modifiers, and a version each is in the PTX ISA's manual ("PTX ISA Notes" of each instruction);
// where a form is younger than its parts, it has a line of its own. What is not in these tables may
// be of any version: then the text keeps its stamp.
#include "codegen/cuda/PtxVersion.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace quern::cuda {
namespace {

/// Drivers of CUDA 11.4 know it; an older one is not asked for.
constexpr PtxVersion kFloor = 74;

struct Words {
  PtxVersion since;
  const char *words;
};

constexpr Words kTargets[] = {{kFloor, "sm_80 sm_86"}, {78, "sm_89 sm_90"}, {80, "sm_90a"}};

constexpr Words kOpcodes[] = {
    {kFloor,
     "abs activemask add addc and applypriority atom bar barrier bfe bfi bfind bra brev brx "
     "call clz cnot copysign cos cp createpolicy cvt cvta discard div dp2a dp4a ex2 exit "
     "fence fma ld ldmatrix lg2 lop3 mad mad24 madc match max mbarrier membar min mma mov "
     "mul mul24 nanosleep neg not or popc prefetch prefetchu prmt rcp red redux rem ret "
     "rsqrt sad selp set setp shf shfl shl shr sin slct sqrt st sub subc tanh testp trap "
     "vote xor"},
    {76, "bmsk szext"},
    {78, "griddepcontrol mapa stmatrix"},
    {80, "elect setmaxnreg wgmma"}};

constexpr Words kModifiers[] = {
    // types
    {kFloor, "pred b8 b16 b32 b64 u8 u16 u32 u64 s8 s16 s32 s64 u4 s4 b1 f16 f16x2 bf16 bf16x2 "
             "tf32 f32 f64 v2 v4"},
    // rounding, comparing, arithmetic
    {kFloor, "rn rz rm rp rna rni rzi rmi rpi ftz sat satfinite relu approx full noftz cc lo hi "
             "wide xorsign abs NaN nan eq ne lt le gt ge ls hs equ neu ltu leu gtu geu num and or "
             "xor clamp wrap l r shiftamt f4e b4e rc8 ecl ecr rc16 finite infinite number "
             "notanumber normal subnormal"},
    // spaces, order, caches
    {kFloor, "global shared local const param nc volatile relaxed acquire release acq_rel sc weak "
             "cta gpu sys gl ca cg cs lu cv wb wt L1 L2 L1::no_allocate L1::evict_first "
             "L1::evict_last L1::evict_normal L1::evict_unchanged L2::evict_first L2::evict_last "
             "L2::evict_normal L2::evict_unchanged L2::64B L2::128B L2::256B L2::cache_hint "
             "fractional range to"},
    // threads and warps
    {kFloor, "sync arrive red warp aligned uni all any ballot popc up down bfly idx add min max "
             "inc dec exch cas"},
    // copies and matrices
    {kFloor, "async commit_group wait_group wait_all mbarrier init inval expect_tx test_wait "
             "pending_count noinc m16n8k8 m16n8k16 m16n8k32 m16n8k64 m8n8 row col x1 x2 x4 trans"},
    {75, "alias"},
    {78, "cluster try_wait shared::cta shared::cluster launch_dependents wait parity"},
    {80, "bulk tensor 1d 2d 3d 4d 5d tile mbarrier::complete_tx::bytes complete_tx bulk_group read "
         "multicast::cluster proxy mma_async commit_group fence"}};

/// Forms that are younger than their words: an opcode, a modifier, the version.
struct Form {
  const char *opcode, *modifier;
  PtxVersion since;
};
constexpr Form kForms[] = {{"add", "bf16", 78},
                           {"add", "bf16x2", 78},
                           {"sub", "bf16", 78},
                           {"sub", "bf16x2", 78},
                           {"mul", "bf16", 78},
                           {"mul", "bf16x2", 78},
                           {"set", "bf16", 78},
                           {"set", "bf16x2", 78},
                           {"setp", "bf16", 78},
                           {"setp", "bf16x2", 78},
                           {"ex2", "bf16", 78},
                           {"ex2", "bf16x2", 78},
                           {"tanh", "bf16", 78},
                           {"tanh", "bf16x2", 78},
                           {"atom", "bf16", 78},
                           {"atom", "bf16x2", 78},
                           {"red", "bf16", 78},
                           {"red", "bf16x2", 78},
                           {"atom", "v2", 81},
                           {"atom", "v4", 81},
                           {"red", "v2", 81},
                           {"red", "v4", 81},
                           {"red", "async", 81},
                           {"st", "async", 81},
                           {"mbarrier", "expect_tx", 80},
                           {"mma", "f64", 78}};

constexpr Words kDirectives[] = {
    {kFloor, "version target address_size global extern visible weak common shared param reg local "
             "const entry func maxntid minnctapersm reqntid maxnreg pragma loc file section align "
             "ptr noreturn pred b8 b16 b32 b64 u8 u16 u32 u64 s8 s16 s32 s64 f16 f16x2 f32 f64 "
             "debug_str debug_line debug_abbrev debug_info"},
    {78, "reqnctapercluster explicitcluster maxclusterrank"}};

using Table = std::unordered_map<std::string_view, PtxVersion>;

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(by);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos)
      return parts;
    text.remove_prefix(end + 1);
  }
}

template <size_t N> Table table_of(const Words (&lines)[N]) {
  Table table;
  for (const Words &line : lines)
    for (const std::string_view word : split(line.words, ' '))
      table.emplace(word, line.since);
  return table;
}

/// What an instruction, or a directive, needs; nothing if a table does not know it.
std::optional<PtxVersion> version_of(std::string_view written) {
  static const Table opcodes = table_of(kOpcodes), modifiers = table_of(kModifiers);
  static const Table directives = table_of(kDirectives);
  const bool directive = written.starts_with('.');
  if (directive)
    written.remove_prefix(1);
  const std::vector<std::string_view> words = split(written, '.');
  PtxVersion version = kFloor;
  for (size_t i = 0; i < words.size(); ++i) {
    const Table &table = directive ? directives : i == 0 ? opcodes : modifiers;
    const auto found = table.find(words[i]);
    if (found == table.end())
      return std::nullopt;
    version = std::max(version, found->second);
    for (const Form &form : kForms)
      if (!directive && i > 0 && words[0] == form.opcode && words[i] == form.modifier)
        version = std::max(version, form.since);
  }
  // From bfloat16; to it is older.
  if (!directive && words[0] == "cvt" && words.back() == "bf16")
    version = std::max(version, 78);
  return version;
}

constexpr bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == ':';
}

/// Calls see(instruction or directive) for each of the text's, which returns whether to go on.
template <class See> void walk(std::string_view ptx, See see) {
  const auto word = [&](size_t at) {
    size_t end = at;
    while (end < ptx.size() && is_word(ptx[end]))
      ++end;
    return ptx.substr(at, end - at);
  };
  bool begins = true; // a statement
  for (size_t at = 0; at < ptx.size();) {
    const char c = ptx[at];
    if (ptx.substr(at, 2) == "//" || ptx.substr(at, 4) == ".loc" || ptx.substr(at, 5) == ".file") {
      at = std::min(ptx.find('\n', at), ptx.size());
    } else if (c == '"') {
      at = std::min(ptx.find('"', at + 1), ptx.size() - 1) + 1;
    } else if (c == ';' || c == '{' || c == '}') {
      begins = true;
      ++at;
    } else if (c == '@' && begins) { // a predicate
      at = std::min(ptx.find_first_of(" \t", at), ptx.size());
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      ++at;
    } else if (is_word(c)) {
      const std::string_view found = word(at);
      at += found.size();
      if (found.ends_with(':')) // a label
        continue;
      const bool number = c >= '0' && c <= '9';
      if ((c == '.' || (begins && !number)) && !see(found))
        return;
      // A directive goes on with others.
      begins = false;
    } else if (c == '%' || c == '$') { // a register; a label
      ++at;
      at += word(at).size();
      begins = begins && at <= ptx.size() && ptx[at - 1] == ':';
    } else {
      begins = false;
      ++at;
    }
  }
}

/// What stands behind the directive: "9.0", "sm_80".
std::string_view value_of(std::string_view ptx, std::string_view directive) {
  const size_t at = ptx.find(directive);
  if (at == std::string_view::npos)
    return "";
  const size_t begin = ptx.find_first_not_of(' ', at + directive.size());
  return ptx.substr(begin, ptx.find_first_of(", \t\r\n", begin) - begin);
}

PtxVersion stamp(std::string_view ptx) {
  const std::string_view value = value_of(ptx, "\n.version");
  const char *end = value.data() + value.size();
  int major = 0, minor = 0;
  const auto point = std::from_chars(value.data(), end, major).ptr;
  if (point == value.data() || point == end || *point != '.' ||
      std::from_chars(point + 1, end, minor).ptr != end)
    return 0;
  return 10 * major + minor;
}

} // namespace

std::string unknown_instruction(std::string_view ptx) {
  std::string unknown;
  walk(ptx, [&](std::string_view written) {
    if (!version_of(written))
      unknown = std::string(written);
    return unknown.empty();
  });
  return unknown;
}

PtxVersion lowest_version(std::string_view ptx) {
  const PtxVersion stamped = stamp(ptx);
  static const Table targets = table_of(kTargets);
  const auto target = targets.find(value_of(ptx, "\n.target"));
  // Registers that say where a block is in its cluster are of 7.8 and later.
  if (target == targets.end() || ptx.find("%cluster") != std::string_view::npos ||
      ptx.find("%nclusterid") != std::string_view::npos)
    return stamped;
  PtxVersion version = target->second;
  walk(ptx, [&](std::string_view written) {
    version = std::max(version, version_of(written).value_or(stamped));
    return version < stamped;
  });
  return std::min(version, stamped);
}

std::string with_target(std::string ptx, std::string_view arch) {
  const std::string_view target = value_of(ptx, "\n.target");
  if (target.empty())
    return ptx;
  return ptx.replace(target.data() - ptx.data(), target.size(), arch);
}

std::string with_lowest_version(std::string ptx) {
  // Which bytes of a vector are used is told to tools, from 8.3 on; nothing else depends on it.
  for (size_t at = 0; (at = ptx.find("\t.pragma \"used_bytes_mask", at)) != std::string::npos;)
    ptx.erase(at, ptx.find('\n', at) + 1 - at);
  const PtxVersion version = lowest_version(ptx);
  if (version == 0 || version == stamp(ptx))
    return ptx;
  const std::string_view stamped = value_of(ptx, "\n.version");
  return ptx.replace(stamped.data() - ptx.data(), stamped.size(),
                     std::to_string(version / 10) + "." + std::to_string(version % 10));
}

} // namespace quern::cuda

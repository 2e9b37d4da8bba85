#include "runtime/artifact/Artifact.h"

#include "runtime/artifact/AtomicFile.h"
#include "tests/runtime/fake/FakeArtifact.h"
#include "tests/runtime/fake/FakeModel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <random>
#include <set>

namespace quern::artifact {
namespace {

using test::fake_artifact;
using test::FakeOptions;
using test::write_fake;
using test::write_file;
using testing::HasSubstr;

std::string message(const absl::Status &status) { return std::string(status.message()); }

// "": opens and verifies; else the first error's message.
std::string why_refused(const std::string &path) {
  auto artifact = Artifact::open(path);
  if (!artifact.ok())
    return message(artifact.status());
  absl::Status verified = (*artifact)->verify_all_checksums();
  return verified.ok() ? "" : message(verified);
}

// Opens `bytes` after header and manifest checksums were made to match what was done to them.
std::string why_refused_resealed(std::vector<uint8_t> bytes) {
  FileHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  header.manifest_checksum = checksum(&bytes[sizeof header], header.manifest_size);
  header.header_checksum = header_checksum(header);
  std::memcpy(bytes.data(), &header, sizeof header);
  return why_refused(write_file("resealed.quern", bytes));
}

// Tests that what was written is read: sections, entries, identity.
TEST(Artifact, OpensAndDescribes) {
  auto opened = Artifact::open(write_fake("good.quern"));
  ASSERT_TRUE(opened.ok()) << opened.status();
  const Artifact &artifact = **opened;
  EXPECT_TRUE(artifact.verify_all_checksums().ok());
  EXPECT_EQ(artifact.manifest().vocab(), FAKE_VOCAB);
  EXPECT_EQ(artifact.weights().size(), FAKE_VOCAB * 4 + 4);
  EXPECT_FALSE(artifact.tokenizer().empty());
  EXPECT_FALSE(artifact.code("x86-64-v3").empty());
  EXPECT_TRUE(artifact.code("sm_80").empty());
  ASSERT_NE(artifact.proof(), nullptr);
  EXPECT_EQ(items(artifact.proof()->logits()).size(), 1u);
  ASSERT_NE(artifact.entry("step"), nullptr);
  EXPECT_EQ(artifact.entry("main"), nullptr);
}

// Tests that what a state means has one identity, whatever code is there and however long sequences
// and steps may be; and that another model, other weights or another format have another.
TEST(Artifact, IdentityIsWhatStateMeans) {
  const auto identity = [](const FakeOptions &options) {
    const auto artifact = Artifact::open(write_fake("identity.quern", options));
    EXPECT_TRUE(artifact.ok()) << artifact.status();
    return artifact.ok() ? (*artifact)->identity() : 0;
  };
  const uint64_t plain = identity({});
  EXPECT_EQ(identity({}), plain);
  EXPECT_EQ(identity({.context = 100}), plain);
  EXPECT_EQ(identity({.max_tokens = 8, .prefill_tokens = 8}), plain);
  EXPECT_EQ(identity({.cuda = true}), plain);
  EXPECT_EQ(identity({.tokenizer = false}), plain);
  EXPECT_EQ(identity({.features = {"sse4.2", "sse2"}}), plain);
  const auto other = [](auto &made, auto &) {
    const uint64_t key = made[0].key() + 1; // behind offset and bytes
    std::memcpy(reinterpret_cast<uint8_t *>(made.data()) + 16, &key, sizeof key);
  };
  const auto less = [](auto &, auto &kept) { kept.clear(); };
  const uint64_t identities[] = {
      plain, identity({.state_format = "f16"}), identity({.state_format = "bf16"}),
      identity({.state_format = nullptr}),
      // What does not say its formats is what its file is.
      identity({.context = 100, .state_format = nullptr}), identity({.source_hash = 43}),
      identity({.recurrent = false}), identity({.window = 50}), identity({.made = true}),
      identity({.made = true, .change_made = other}),
      identity({.made = true, .change_made = less})};
  EXPECT_EQ(std::set(std::begin(identities), std::end(identities)).size(), std::size(identities));
}

// Tests that no byte of the file can change unseen: every 61st byte, and all of the header.
TEST(Artifact, FindsAnyFlippedByte) {
  const std::vector<uint8_t> good = fake_artifact();
  ASSERT_EQ(why_refused(write_file("flip.quern", good)), "");
  for (size_t i = 0; i < good.size(); i += i < 64 ? 1 : 61) {
    std::vector<uint8_t> bad = good;
    bad[i] ^= static_cast<uint8_t>(1u << (i % 8));
    EXPECT_NE(why_refused(write_file("flip.quern", bad)), "") << "byte " << i;
  }
}

// Tests that every cut and anything appended is found.
TEST(Artifact, FindsTruncationAndGrowth) {
  const std::vector<uint8_t> good = fake_artifact();
  for (size_t size = 0; size < good.size(); size += size < 200 ? 1 : 997)
    EXPECT_NE(why_refused(write_file("cut.quern", std::span(good).first(size))), "")
        << size << " bytes";
  std::vector<uint8_t> longer = good;
  longer.push_back(0);
  EXPECT_NE(why_refused(write_file("cut.quern", longer)), "");
}

// Tests that hostile manifests, their checksums made right, are refused or used without a crash:
// every byte of the manifest set to values that make offsets and sizes wild.
TEST(Artifact, SurvivesHostileManifests) {
  const std::vector<uint8_t> good = fake_artifact();
  FileHeader header;
  std::memcpy(&header, good.data(), sizeof header);
  for (size_t i = 0; i < header.manifest_bytes; ++i)
    for (uint8_t value : {0x00, 0x7f, 0xff}) {
      std::vector<uint8_t> bad = good;
      bad[sizeof header + i] = value;
      why_refused_resealed(bad);
    }
}

// Tests the same with eight bytes at a time, at random places.
TEST(Artifact, SurvivesHostileNumbers) {
  std::mt19937_64 random(7);
  for (const bool sized : {false, true}) {
    const std::vector<uint8_t> good = fake_artifact({.sized_entry = sized});
    FileHeader header;
    std::memcpy(&header, good.data(), sizeof header);
    for (int i = 0; i < 1000; ++i) {
      std::vector<uint8_t> bad = good;
      const uint64_t value = random() >> (random() % 64);
      std::memcpy(&bad[sizeof header + random() % (header.manifest_bytes - 8)], &value, 8);
      why_refused_resealed(bad);
    }
  }
}

// Tests that each limit has its message.
TEST(Artifact, NamesWhatIsWrong) {
  auto refused = [](const FakeOptions &options) {
    return why_refused(write_fake("wrong.quern", options));
  };
  EXPECT_THAT(refused({.abi_version = 99}), HasSubstr("step ABI 99"));
  EXPECT_THAT(refused({.buffer_offset = uint64_t{1} << 63}), HasSubstr("outside the arena"));
  EXPECT_THAT(refused({.kernel = 1}), HasSubstr("kernel that is not there"));
  EXPECT_THAT(refused({.dispatch_state = 9}), HasSubstr("state that is not there"));
  EXPECT_THAT(refused({.prefill_tokens = 15}),
              HasSubstr("no bucket of the target cpu admits 16 tokens"));
  EXPECT_THAT(refused({.symbol = "system; rm"}), HasSubstr("not a function's name"));
}

// Tests that what is said of sizes can be computed, within bounds, for whatever a caller chooses.
TEST(Artifact, NamesSizesThatAreWrong) {
  using enum SizeOp;
  const auto refused = [](std::function<void(test::FakeSizes &)> change) {
    return why_refused(
        write_fake("sizes.quern", {.sized_entry = true, .change_sizes = std::move(change)}));
  };
  EXPECT_EQ(refused(nullptr), "");
  const auto steps = [&](std::vector<SizeStep> wrong) {
    return refused([&](test::FakeSizes &sizes) { sizes.half.steps = wrong; });
  };
  EXPECT_THAT(steps({}), HasSubstr("tensor 'half': a symbolic dimension: it has no steps"));
  EXPECT_THAT(steps({{0, add}}), HasSubstr("a step has too few operands"));
  EXPECT_THAT(steps({{0, size}, {0, multiply}}), HasSubstr("a step has too few operands"));
  EXPECT_THAT(steps({{0, size}, {0, size}}), HasSubstr("it leaves more than one number"));
  EXPECT_THAT(steps({{3, size}}), HasSubstr("it reads a size that the entry does not have"));
  EXPECT_THAT(steps({{-1, size}}), HasSubstr("it reads a size that the entry does not have"));
  EXPECT_THAT(steps({{0, static_cast<SizeOp>(77)}}), HasSubstr("it has an unknown step"));
  EXPECT_THAT(steps(std::vector<SizeStep>(65, {0, size})), HasSubstr("it needs too large a stack"));
  EXPECT_THAT(steps(std::vector<SizeStep>(5000, {0, size})), HasSubstr("it has too many steps"));
  EXPECT_THAT(refused([](auto &sizes) { sizes.half.most = uint64_t{1} << 60; }),
              HasSubstr("shape too large"));
  EXPECT_THAT(refused([](auto &sizes) { sizes.sizes[0].second = uint64_t{1} << 60; }),
              HasSubstr("an impossible one"));
  EXPECT_THAT(refused([](auto &sizes) { sizes.sizes[1].first = "T"; }),
              HasSubstr("a size without a name of its own"));
  EXPECT_THAT(refused([](auto &sizes) { sizes.sizes.push_back({"u", 4}); }),
              HasSubstr("no input says the size 'u'"));
  EXPECT_THAT(refused([](auto &sizes) { sizes.t.steps = {{0, size}, {0, add}}; }),
              HasSubstr("a step has too few operands"));
  EXPECT_THAT(refused([](auto &sizes) { sizes.b.text = ""; }),
              HasSubstr("a symbolic dimension without a name"));
  EXPECT_THAT(refused([](auto &sizes) { sizes.max_tokens = 2; }),
              HasSubstr("its buckets are of tokens"));
  EXPECT_THAT(refused([](auto &sizes) { sizes.sizes.clear(); }),
              HasSubstr("as many expressions as dimensions are needed"));
}

// Tests that everything is for a target that is known, what belongs together for the same, and that
// buckets are in order.
TEST(Artifact, NamesTargetsThatAreWrong) {
  auto refused = [](const FakeOptions &options) {
    return why_refused(write_fake("targets.quern", options));
  };
  EXPECT_EQ(refused({.cuda = true}), "");
  EXPECT_THAT(refused({.target = "abacus"}), HasSubstr("variant 'x86-64-v3': of no known target"));
  EXPECT_THAT(refused({.target = ""}), HasSubstr("variant 'x86-64-v3': of no known target"));
  EXPECT_THAT(refused({.kernel_target = "abacus"}), HasSubstr("kernel 'all': of no known target"));
  EXPECT_THAT(refused({.kernel_target = "cuda"}),
              HasSubstr("a dispatch of a kernel of another target"));
  EXPECT_THAT(refused({.bucket_target = "abacus"}), HasSubstr("of no known target"));
  EXPECT_THAT(refused({.kernel_target = "cuda", .bucket_target = "cuda"}),
              HasSubstr("it has no bucket of the target cpu"));
  EXPECT_THAT(refused({.prefill_tokens = 2}),
              HasSubstr("buckets of the target cpu are not in order"));
  EXPECT_THAT(refused({.prefill_tokens = 15, .cuda = true}),
              HasSubstr("no bucket of the target cpu admits 16 tokens"));
}

// Tests that code of the target cuda is what it should be, as far as the file goes.
TEST(Artifact, RefusesCudaCodeThatIsNone) {
  const auto refused = [](std::function<void(std::vector<uint8_t> &)> damage) {
    return why_refused(write_fake("code.quern", {.cuda = true, .damage_code = std::move(damage)}));
  };
  EXPECT_THAT(refused([](auto &bytes) { bytes = {1, 2, 3}; }),
              HasSubstr("the code of variant sm_80 is not well-formed"));
  EXPECT_THAT(refused([](auto &bytes) { bytes.clear(); }), HasSubstr("not well-formed"));
  EXPECT_THAT(refused([](auto &bytes) { bytes[4] = 'X'; }), HasSubstr("not well-formed"));
  EXPECT_THAT(refused([](auto &bytes) { bytes.resize(bytes.size() / 2); }),
              HasSubstr("not well-formed"));
}

// Tests that what says how weights are made leads nowhere but into them, and takes no longer than
// they are large.
TEST(Artifact, RefusesWeightsThatCannotBeMade) {
  const auto refused = [](auto change) {
    return why_refused(
        write_file("made.quern", fake_artifact({.made = true, .change_made = change})));
  };
  const auto sized = [](uint64_t offset, uint64_t bytes, uint64_t panel = 8, uint64_t run = 8,
                        uint32_t record = 8) {
    const std::array<uint64_t, 5> none{};
    return MadeWeight(offset, bytes, 1, panel, run, 0, 0, record, 8, 8, none, none);
  };
  EXPECT_TRUE(Artifact::open(write_file("made.quern", fake_artifact({.made = true}))).ok());
  for (const MadeWeight &wrong :
       {sized(0, 160), sized(160, 8), sized(~uint64_t{7}, 16), sized(0, 12), sized(4, 8)})
    EXPECT_THAT(refused([&](auto &made, auto &) { made = {wrong}; }),
                HasSubstr("made weights: one lies outside the weights, or on another"));
  EXPECT_THAT(refused([&](auto &made, auto &) { made = {sized(0, 64), sized(56, 8)}; }),
              HasSubstr("or on another"));
  for (const MadeWeight &wrong : {sized(0, 8, 0), sized(0, 8, 8, 0), sized(0, 8, 8, 8, 0)})
    EXPECT_THAT(refused([&](auto &made, auto &) { made = {wrong}; }),
                HasSubstr("one has panels of nothing"));
  for (const KeptWeight &wrong : {KeptWeight(148, 8, 0), KeptWeight(0, 8, 4), KeptWeight(0, 9, 0)})
    EXPECT_THAT(refused([&](auto &, auto &kept) { kept = {wrong}; }),
                HasSubstr("kept weights: one lies outside the weights, or on another"));
}

// Tests that an artifact from before targets were named is refused, with what to do.
TEST(Artifact, RefusesOlderVersions) {
  std::vector<uint8_t> old = fake_artifact();
  FileHeader header;
  std::memcpy(&header, old.data(), sizeof header);
  header.version = 1;
  header.header_checksum = header_checksum(header);
  std::memcpy(old.data(), &header, sizeof header);
  EXPECT_THAT(why_refused(write_file("old.quern", old)),
              HasSubstr("artifact format version 1, and this build reads version 2\nhint: compile "
                        "the model again"));
}

// Tests what is not an artifact at all.
TEST(Artifact, RefusesOtherFiles) {
  EXPECT_EQ(Artifact::open("/nonexistent/model.quern").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_THAT(why_refused("/nonexistent/model.quern"), HasSubstr("/nonexistent/model.quern"));
  EXPECT_THAT(why_refused(std::filesystem::temp_directory_path().string()),
              HasSubstr("not a regular file"));
  const std::vector<uint8_t> text(8192, 'x');
  EXPECT_THAT(why_refused(write_file("text.quern", text)), HasSubstr("not a Quern artifact"));
  std::vector<uint8_t> other = fake_artifact();
  other[8] = 9;
  EXPECT_THAT(why_refused_resealed(other), HasSubstr("version 9"));
}

// Tests that a file appears whole or not at all.
TEST(AtomicFile, AppearsOnCommit) {
  const std::string path = test::fresh_path("atomic");
  {
    auto file = AtomicFile::create(path);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->write("lost", 4).ok());
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  auto file = AtomicFile::create(path);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->write("kept", 4).ok());
  ASSERT_TRUE((*file)->write_at(0, "l", 1).ok());
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_TRUE((*file)->commit().ok());
  EXPECT_EQ(test::read_file(path), (std::vector<uint8_t>{'l', 'e', 'p', 't'}));
  for (const auto &entry :
       std::filesystem::directory_iterator(std::filesystem::path(path).parent_path()))
    EXPECT_THAT(entry.path().string(), testing::Not(HasSubstr("partial")));
}

TEST(AtomicFile, NamesAFolderThatIsMissing) {
  auto file = AtomicFile::create("/nonexistent/x");
  EXPECT_EQ(file.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(message(file.status()), HasSubstr("/nonexistent/x"));
}

} // namespace
} // namespace quern::artifact

#include "runtime/device/cpu/CodeObject.h"

#include "tests/runtime/fake/FakeArtifact.h"

#include <gtest/gtest.h>

namespace quern::device {
namespace {

// Tests that two models' code can be loaded at once, each its own.
TEST(CodeObject, EachIsItsOwn) {
  const std::string path = test::write_fake("code.quern");
  const auto artifact = *artifact::Artifact::open(path);
  const auto *variant = artifact::items(artifact->manifest().variants())[0];
  const auto bytes = artifact->code(artifact::text(variant->name()));
  auto first = CodeObject::load(bytes, "first");
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = CodeObject::load(bytes, "second");
  ASSERT_TRUE(second.ok()) << second.status();
  ASSERT_NE((*first)->function("quern_step_prefill"), nullptr);
  EXPECT_NE((*first)->function("quern_step_prefill"), (*second)->function("quern_step_prefill"));
  EXPECT_EQ((*first)->function("quern_no_such"), nullptr);
}

TEST(CodeObject, WhatIsNoSharedObjectIsRefused) {
  EXPECT_FALSE(CodeObject::load({}, "empty").ok());
  std::vector<uint8_t> bytes(4096, 0x7f);
  EXPECT_FALSE(CodeObject::load(bytes, "noise").ok());
}

} // namespace
} // namespace quern::device

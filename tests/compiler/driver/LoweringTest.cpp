// The flags that a model is imported and lowered by.
#include "compiler/driver/Lowering.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::driver {
namespace {

using testing::Contains;
using testing::ElementsAre;

// Tests that blanks around a key's name are none of it, as a list in quotes may have them.
TEST(ModelFlags, TrimsNamesOfKeys) {
  ModelFlags flags;
  flags.ignored_keys = " foo, bar.twist ,foo";
  EXPECT_TRUE(flags.check().ok()) << flags.check();
  EXPECT_THAT(flags.import_options().ignored_keys, ElementsAre("foo", "bar.twist", "foo"));
  EXPECT_THAT(flags.recorded(), Contains("--ignore-keys bar.twist,foo"));
  for (const char *list : {" ", "foo, ,bar", "foo, "}) {
    flags.ignored_keys = list;
    EXPECT_FALSE(flags.check().ok()) << list;
  }
}

} // namespace
} // namespace quern::driver

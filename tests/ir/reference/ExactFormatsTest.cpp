// The interpreter with formats that round nothing: what a module with formats means then is, to the
// bit, what it means without.
#include "tests/ir/reference/TestModule.h"

namespace quern::reference {
namespace {

/// Attention over the keys of %x W^T, W and %x in whatever formats.
std::string attention(const std::string &weight, const std::string &rows,
                      const std::string &state) {
  const bool converted = weight != "f32", quantized = rows != "f32";
  const std::string type = "!quern.weight<64x64, \"" + weight + "\">";
  const std::string input = quantized ? "!quern.q8_rows<\"T\", 64>" : "!T64";
  return step_text(
      64, 64,
      weight_text("w", "64x64", 0.3F) + "quern.declare_state @kv : !quern.state<kv, 2x32x32" +
          state + ">\n",
      "%stored = quern.weight_ref @w : !quern.weight<64x64, \"f32\">\n" +
          (converted
               ? "%w = quern.weight_convert %stored : !quern.weight<64x64, \"f32\"> -> " + type
               : std::string()) +
          (quantized ? "\n%q = quern.quantize_rows %x : !T64 -> " + input : std::string()) +
          "\n%k = quern.linear " + (quantized ? "%q" : "%x") + ", " +
          (converted ? "%w" : "%stored") + " : (" + input + ", " + type + ") -> !T64\n" +
          "%s = quern.state_ref @kv : !quern.state<kv, 2x32x32" + state + ">\n" +
          "quern.kv_append %k, %k, %batch, %s : !T64, !T64, !quern.batch, !quern.state<kv, "
          "2x32x32" +
          state + ">\n" +
          "%y = quern.attention %x, %batch, %s {heads = 2 : i64, scale = 0.25 : f32} : (!T64, "
          "!quern.batch, !quern.state<kv, 2x32x32" +
          state + ">) -> !T64");
}

std::vector<double> run(const std::string &text, bool float64, bool exact_formats) {
  TestModule module(text);
  ReferenceState state;
  std::vector<double> all;
  // The second step reads what the first has stored.
  for (const Batch &batch : {Batch{{{0, 0, {3, 11, 0, 7}}}, {}}, Batch{{{0, 4, {5, 1}}}, {}}}) {
    const auto output = module.interpreter({.float64 = float64, .exact_formats = exact_formats})
                            ->step(batch, state);
    EXPECT_TRUE(output.ok()) << output.status();
    if (output.ok())
      all.insert(all.end(), output->values.begin(), output->values.end());
  }
  return all;
}

TEST(ExactFormatsTest, FormatsRoundNothing) {
  struct {
    const char *weight, *rows, *state;
  } const formats[] = {{"int8", "f32", ""},      {"int4", "f32", ""},     {"bf16", "f32", ""},
                       {"int8", "q8", ""},       {"f32", "f32", ", f16"}, {"f32", "f32", ", bf16"},
                       {"f32", "f32", ", int8"}, {"int4", "q8", ", int8"}};
  for (const bool float64 : {true, false}) {
    const auto plain = run(attention("f32", "f32", ""), float64, false);
    ASSERT_EQ(plain.size(), 6U * 64);
    EXPECT_EQ(run(attention("f32", "f32", ""), float64, true), plain);
    for (const auto &[weight, rows, state] : formats) {
      const std::string text = attention(weight, rows, state);
      EXPECT_EQ(run(text, float64, true), plain) << weight << " " << rows << state;
      EXPECT_NE(run(text, float64, false), plain) << weight << " " << rows << state;
    }
  }
}

} // namespace
} // namespace quern::reference

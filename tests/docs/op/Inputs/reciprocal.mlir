// The op of docs/guides/adding-an-op.md after a norm, and in the epilogue of a linear.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R32 = tensor<?x32xf32, #quern.dims<"R">>
!R101 = tensor<?x101xf32, #quern.dims<"R">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
module attributes {quern.files = [], quern.model = {context = 256 : i64, family = "followed", hidden = 32 : i64, layers = 1 : i64, synthetic, vocab = 101 : i64}} {
  quern.weight @embed : !quern.weight<101x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.5 : f32, spread = 0.2 : f32}
  quern.weight @w : !quern.weight<32x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.5 : f32, spread = 0.1 : f32}
  quern.weight @head : !quern.weight<101x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R101 {
    %embed = quern.weight_ref @embed : !quern.weight<101x32, "f32">
    %w = quern.weight_ref @w : !quern.weight<32x32, "f32">
    %head = quern.weight_ref @head : !quern.weight<101x32, "f32">
    %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<101x32, "f32">) -> !T32
    %n = quern.rms_norm %x {eps = 1.0e-5 : f32} : (!T32) -> !T32
    %i = quern.reciprocal %n : !T32
    %y = quern.linear %i, %w : (!T32, !quern.weight<32x32, "f32">) -> !T32
    %z = quern.reciprocal %y : !T32
    %last = quern.gather_rows %z, %rows : (!T32, !rows) -> !R32
    %logits = quern.linear %last, %head : (!R32, !quern.weight<101x32, "f32">) -> !R101
    return %logits : !R101
  }
}

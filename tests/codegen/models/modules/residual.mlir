// Linears that read and add to what another linear, or attention, has computed, without a norm in between: where weights
// are integers, that one yields its rows both as floats and quantized. Values of 32 columns, a query head each.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R64 = tensor<?x64xf32, #quern.dims<"R">>
!R101 = tensor<?x101xf32, #quern.dims<"R">>
!T64 = tensor<?x64xf32, #quern.dims<"T">>
!T160 = tensor<?x160xf32, #quern.dims<"T">>
module attributes {quern.files = [], quern.model = {context = 256 : i64, family = "residual", hidden = 64 : i64, layers = 1 : i64, synthetic, vocab = 101 : i64}} {
  quern.weight @embed : !quern.weight<101x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @in : !quern.weight<64x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 4 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @q : !quern.weight<64x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 5 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @k : !quern.weight<64x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 6 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @v : !quern.weight<64x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @o : !quern.weight<64x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 8 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @up : !quern.weight<160x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 9 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @down : !quern.weight<64x160, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 10 : i64, mean = 0.0 : f32, spread = 0.1 : f32}
  quern.weight @head : !quern.weight<101x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 11 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.declare_state @kv : !quern.state<kv, 2x32x32>
  func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R101 {
    %embed = quern.weight_ref @embed : !quern.weight<101x64, "f32">
    %in = quern.weight_ref @in : !quern.weight<64x64, "f32">
    %wq = quern.weight_ref @q : !quern.weight<64x64, "f32">
    %wk = quern.weight_ref @k : !quern.weight<64x64, "f32">
    %wv = quern.weight_ref @v : !quern.weight<64x64, "f32">
    %wo = quern.weight_ref @o : !quern.weight<64x64, "f32">
    %up = quern.weight_ref @up : !quern.weight<160x64, "f32">
    %down = quern.weight_ref @down : !quern.weight<64x160, "f32">
    %head = quern.weight_ref @head : !quern.weight<101x64, "f32">
    %kv = quern.state_ref @kv : !quern.state<kv, 2x32x32>
    %te = quern.embedding %tokens, %embed : (!tokens, !quern.weight<101x64, "f32">) -> !T64
    %x0 = quern.linear %te, %in : (!T64, !quern.weight<64x64, "f32">) -> !T64
    %q = quern.linear %x0, %wq : (!T64, !quern.weight<64x64, "f32">) -> !T64
    %k = quern.linear %x0, %wk : (!T64, !quern.weight<64x64, "f32">) -> !T64
    %v = quern.linear %x0, %wv : (!T64, !quern.weight<64x64, "f32">) -> !T64
    quern.kv_append %k, %v, %batch, %kv : !T64, !T64, !quern.batch, !quern.state<kv, 2x32x32>
    %a = quern.attention %q, %batch, %kv {heads = 2 : i64, scale = 0.17677669 : f32} : (!T64, !quern.batch, !quern.state<kv, 2x32x32>) -> !T64
    %o = quern.linear %a, %wo : (!T64, !quern.weight<64x64, "f32">) -> !T64
    %oa = quern.binary add %o, %a : !T64, !T64
    %x1 = quern.binary add %oa, %x0 : !T64, !T64
    %f = quern.linear %x1, %up : (!T64, !quern.weight<160x64, "f32">) -> !T160
    %g = quern.unary gelu_tanh %f : !T160
    %d = quern.linear %g, %down : (!T160, !quern.weight<64x160, "f32">) -> !T64
    %x2 = quern.binary add %d, %x1 : !T64, !T64
    %last = quern.gather_rows %x2, %rows : (!T64, !rows) -> !R64
    %logits = quern.linear %last, %head : (!R64, !quern.weight<101x64, "f32">) -> !R101
    return %logits : !R101
  }
}

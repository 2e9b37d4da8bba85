// A small hybrid model: a recurrent layer, then attention with grouped heads and a gated MLP.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
!R32 = tensor<?x32xf32, #quern.dims<"R">>
!R96 = tensor<?x96xf32, #quern.dims<"R">>
module attributes {quern.files = [], quern.model = {family = "hybrid", vocab = 96 : i64, context = 128 : i64, synthetic}} {
  quern.weight @embed : !quern.weight<96x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.5 : f32}
  quern.weight @norm : !quern.weight<32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 1.0 : f32, spread = 0.1 : f32}
  quern.weight @conv : !quern.weight<32x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.4 : f32}
  quern.weight @k_rec : !quern.weight<8x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @r_rec : !quern.weight<8x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @decay : !quern.weight<4x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @q : !quern.weight<32x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @k : !quern.weight<16x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @v : !quern.weight<16x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @o : !quern.weight<32x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.declare_state @l0.conv : !quern.state<window, 32x3>
  quern.declare_state @l0.rec : !quern.state<recurrent, 4x8x8>
  quern.declare_state @l1.kv : !quern.state<kv, 2x8x8>
  func.func @step(%tokens: tensor<?xi32, #quern.dims<"T">>, %rows: tensor<?xi32, #quern.dims<"R">>, %batch: !quern.batch) -> !R96 {
    %embed = quern.weight_ref @embed : !quern.weight<96x32, "f32">
    %norm = quern.weight_ref @norm : !quern.weight<32, "f32">
    %conv = quern.weight_ref @conv : !quern.weight<32x4, "f32">
    %wkr = quern.weight_ref @k_rec : !quern.weight<8x32, "f32">
    %wrr = quern.weight_ref @r_rec : !quern.weight<8x32, "f32">
    %wdr = quern.weight_ref @decay : !quern.weight<4x32, "f32">
    %wq = quern.weight_ref @q : !quern.weight<32x32, "f32">
    %wk = quern.weight_ref @k : !quern.weight<16x32, "f32">
    %wv = quern.weight_ref @v : !quern.weight<16x32, "f32">
    %wo = quern.weight_ref @o : !quern.weight<32x32, "f32">
    %window = quern.state_ref @l0.conv : !quern.state<window, 32x3>
    %recurrent = quern.state_ref @l0.rec : !quern.state<recurrent, 4x8x8>
    %kv = quern.state_ref @l1.kv : !quern.state<kv, 2x8x8>
    %x0 = quern.embedding %tokens, %embed : (tensor<?xi32, #quern.dims<"T">>, !quern.weight<96x32, "f32">) -> !T32
    %n0 = quern.rms_norm %x0, %norm {eps = 1.0e-5 : f32} : (!T32, !quern.weight<32, "f32">) -> !T32
    %c0 = quern.causal_conv1d %n0, %batch, %window, %conv : (!T32, !quern.batch, !quern.state<window, 32x3>, !quern.weight<32x4, "f32">) -> !T32
    %c1 = quern.unary silu %c0 : !T32
    %kr = quern.linear %c1, %wkr : (!T32, !quern.weight<8x32, "f32">) -> !T8
    %rr = quern.linear %c1, %wrr : (!T32, !quern.weight<8x32, "f32">) -> !T8
    %d0 = quern.linear %n0, %wdr : (!T32, !quern.weight<4x32, "f32">) -> !T4
    %d1 = quern.unary sigmoid %d0 : !T4
    %y0 = quern.linear_recurrence %rr, %kr, %c1, %d1, %batch, %recurrent {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (!T8, !T8, !T32, !T4, !quern.batch, !quern.state<recurrent, 4x8x8>) -> !T32
    %x1 = quern.binary add %x0, %y0 : !T32, !T32
    %n1 = quern.rms_norm %x1, %norm {eps = 1.0e-5 : f32} : (!T32, !quern.weight<32, "f32">) -> !T32
    %table = quern.rope_table %batch {inv_freq = array<f32: 1.0, 0.3, 0.1, 0.03>} : !T8
    %q0 = quern.linear %n1, %wq : (!T32, !quern.weight<32x32, "f32">) -> !T32
    %k0 = quern.linear %n1, %wk : (!T32, !quern.weight<16x32, "f32">) -> !T16
    %v0 = quern.linear %n1, %wv : (!T32, !quern.weight<16x32, "f32">) -> !T16
    %q1 = quern.rope %q0, %table {head_dim = 8 : i64} : (!T32, !T8) -> !T32
    %k1 = quern.rope %k0, %table {head_dim = 8 : i64} : (!T16, !T8) -> !T16
    quern.kv_append %k1, %v0, %batch, %kv : !T16, !T16, !quern.batch, !quern.state<kv, 2x8x8>
    %a = quern.attention %q1, %batch, %kv {heads = 4 : i64, scale = 0.35 : f32} : (!T32, !quern.batch, !quern.state<kv, 2x8x8>) -> !T32
    %o = quern.linear %a, %wo : (!T32, !quern.weight<32x32, "f32">) -> !T32
    %x2 = quern.binary add %x1, %o : !T32, !T32
    %last = quern.gather_rows %x2, %rows : (!T32, tensor<?xi32, #quern.dims<"R">>) -> !R32
    %n2 = quern.rms_norm %last, %norm {eps = 1.0e-5 : f32} : (!R32, !quern.weight<32, "f32">) -> !R32
    %logits = quern.linear %n2, %embed : (!R32, !quern.weight<96x32, "f32">) -> !R96
    return %logits : !R96
  }
}

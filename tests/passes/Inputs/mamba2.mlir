// One Mamba-2 layer: hidden 32, 4 heads of 16 (inner 64), state 8, 1 group, conv of 4.
// in_proj columns: z 64, xBC 80 (x 64, B 8, C 8), dt 4 = 148.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R32 = tensor<?x32xf32, #quern.dims<"R">>
!R48 = tensor<?x48xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
!T64 = tensor<?x64xf32, #quern.dims<"T">>
!T80 = tensor<?x80xf32, #quern.dims<"T">>
!T148 = tensor<?x148xf32, #quern.dims<"T">>
module attributes {quern.files = [], quern.model = {family = "mamba2", vocab = 48 : i64, context = 128 : i64, synthetic}} {
  quern.weight @embed : !quern.weight<48x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.5 : f32}
  quern.weight @norm : !quern.weight<32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 1.0 : f32, spread = 0.1 : f32}
  quern.weight @in_proj : !quern.weight<148x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @conv : !quern.weight<80x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @conv_bias : !quern.weight<80, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.1 : f32}
  quern.weight @dt_bias : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.5 : f32}
  quern.weight @a_log : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.5 : f32, spread = 0.5 : f32}
  quern.weight @d : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 1.0 : f32, spread = 0.1 : f32}
  quern.weight @gate_norm : !quern.weight<64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 1.0 : f32, spread = 0.1 : f32}
  quern.weight @out_proj : !quern.weight<32x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.declare_state @l0.conv : !quern.state<window, 80x3>
  quern.declare_state @l0.ssm : !quern.state<recurrent, 4x8x16>
  func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R48 {
    %embed = quern.weight_ref @embed : !quern.weight<48x32, "f32">
    %norm = quern.weight_ref @norm : !quern.weight<32, "f32">
    %w_in = quern.weight_ref @in_proj : !quern.weight<148x32, "f32">
    %w_conv = quern.weight_ref @conv : !quern.weight<80x4, "f32">
    %b_conv = quern.weight_ref @conv_bias : !quern.weight<80, "f32">
    %b_dt = quern.weight_ref @dt_bias : !quern.weight<4, "f32">
    %a_log = quern.weight_ref @a_log : !quern.weight<4, "f32">
    %a = quern.weight_map "neg_exp" %a_log : !quern.weight<4, "f32"> -> !quern.weight<4, "f32">
    %d = quern.weight_ref @d : !quern.weight<4, "f32">
    %w_norm = quern.weight_ref @gate_norm : !quern.weight<64, "f32">
    %w_out = quern.weight_ref @out_proj : !quern.weight<32x64, "f32">
    %conv_state = quern.state_ref @l0.conv : !quern.state<window, 80x3>
    %ssm_state = quern.state_ref @l0.ssm : !quern.state<recurrent, 4x8x16>
    %x0 = quern.embedding %tokens, %embed : (!tokens, !quern.weight<48x32, "f32">) -> !T32 loc("model.embed")
    %n0 = quern.rms_norm %x0, %norm {eps = 1.0e-5 : f32} : (!T32, !quern.weight<32, "f32">) -> !T32 loc("model.layers.0.norm")
    %zxbcdt = quern.linear %n0, %w_in : (!T32, !quern.weight<148x32, "f32">) -> !T148 loc("model.layers.0.mixer.in_proj")
    %z = quern.slice %zxbcdt {offset = 0 : i64} : !T148 -> !T64
    %xbc0 = quern.slice %zxbcdt {offset = 64 : i64} : !T148 -> !T80
    %dt0 = quern.slice %zxbcdt {offset = 144 : i64} : !T148 -> !T4
    %xbc1 = quern.causal_conv1d %xbc0, %batch, %conv_state, %w_conv, %b_conv : (!T80, !quern.batch, !quern.state<window, 80x3>, !quern.weight<80x4, "f32">, !quern.weight<80, "f32">) -> !T80 loc("model.layers.0.mixer.conv1d")
    %xbc = quern.unary silu %xbc1 : !T80
    %x = quern.slice %xbc {offset = 0 : i64} : !T80 -> !T64
    %b = quern.slice %xbc {offset = 64 : i64} : !T80 -> !T8
    %c = quern.slice %xbc {offset = 72 : i64} : !T80 -> !T8
    %dt1 = quern.binary add %dt0, %b_dt : !T4, !quern.weight<4, "f32">
    %dt = quern.unary softplus %dt1 : !T4
    %da = quern.binary mul %dt, %a : !T4, !quern.weight<4, "f32">
    %decay = quern.unary exp %da : !T4
    %v = quern.binary mul %x, %dt {repeat = 16 : i64} : !T64, !T4
    %o = quern.linear_recurrence %c, %b, %v, %decay, %batch, %ssm_state {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (!T8, !T8, !T64, !T4, !quern.batch, !quern.state<recurrent, 4x8x16>) -> !T64 loc("model.layers.0.mixer.ssm")
    %skip = quern.binary mul %x, %d {repeat = 16 : i64} : !T64, !quern.weight<4, "f32">
    %y0 = quern.binary add %o, %skip : !T64, !T64
    %y1 = quern.gated_act silu %z, %y0 : !T64
    %y = quern.rms_norm %y1, %w_norm {eps = 1.0e-5 : f32} : (!T64, !quern.weight<64, "f32">) -> !T64 loc("model.layers.0.mixer.norm")
    %out = quern.linear %y, %w_out : (!T64, !quern.weight<32x64, "f32">) -> !T32 loc("model.layers.0.mixer.out_proj")
    %x1 = quern.binary add %x0, %out : !T32, !T32
    %r = quern.gather_rows %x1, %rows : (!T32, !rows) -> !R32
    %n1 = quern.rms_norm %r, %norm {eps = 1.0e-5 : f32} : (!R32, !quern.weight<32, "f32">) -> !R32 loc("model.norm")
    %logits = quern.linear %n1, %embed : (!R32, !quern.weight<48x32, "f32">) -> !R48 loc("lm_head")
    return %logits : !R48
  }
}

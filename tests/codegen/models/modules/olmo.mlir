// As OLMo and Hunyuan compute: norms without weights, projections held between bounds, norms of heads after the rotation;
// gate and up in one matrix as Phi-3 and GLM store them, positions from the third row of their table on as OPT's. The
// second layer rotates by a table of its own and sees a window, as every few layers of Gemma 3 do.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R48 = tensor<?x48xf32, #quern.dims<"R">>
!R101 = tensor<?x101xf32, #quern.dims<"R">>
!T6 = tensor<?x6xf32, #quern.dims<"T">>
!T12 = tensor<?x12xf32, #quern.dims<"T">>
!T24 = tensor<?x24xf32, #quern.dims<"T">>
!T48 = tensor<?x48xf32, #quern.dims<"T">>
!T80 = tensor<?x80xf32, #quern.dims<"T">>
!T160 = tensor<?x160xf32, #quern.dims<"T">>
module attributes {quern.files = [], quern.model = {context = 256 : i64, family = "olmo", hidden = 48 : i64, layers = 1 : i64, synthetic, vocab = 101 : i64}} {
  quern.weight @wte : !quern.weight<101x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @wpe : !quern.weight<258x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @wq0 : !quern.weight<48x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @wk0 : !quern.weight<24x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @wv0 : !quern.weight<24x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @wo0 : !quern.weight<48x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @q_norm0 : !quern.weight<12, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @k_norm0 : !quern.weight<12, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @gate_up0 : !quern.weight<160x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @down0 : !quern.weight<48x80, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.declare_state @kv0 : !quern.state<kv, 2x12x12>
  quern.weight @wq1 : !quern.weight<48x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @wk1 : !quern.weight<24x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @wv1 : !quern.weight<24x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @wo1 : !quern.weight<48x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @q_norm1 : !quern.weight<12, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @k_norm1 : !quern.weight<12, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @gate_up1 : !quern.weight<160x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @down1 : !quern.weight<48x80, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.declare_state @kv1 : !quern.state<kv, 2x12x12>
  quern.weight @head : !quern.weight<101x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R101 {
    %wte = quern.weight_ref @wte : !quern.weight<101x48, "f32">
    %wpe = quern.weight_ref @wpe : !quern.weight<258x48, "f32">
    %wq0 = quern.weight_ref @wq0 : !quern.weight<48x48, "f32">
    %wk0 = quern.weight_ref @wk0 : !quern.weight<24x48, "f32">
    %wv0 = quern.weight_ref @wv0 : !quern.weight<24x48, "f32">
    %wo0 = quern.weight_ref @wo0 : !quern.weight<48x48, "f32">
    %q_norm0 = quern.weight_ref @q_norm0 : !quern.weight<12, "f32">
    %k_norm0 = quern.weight_ref @k_norm0 : !quern.weight<12, "f32">
    %gate_up0 = quern.weight_ref @gate_up0 : !quern.weight<160x48, "f32">
    %down0 = quern.weight_ref @down0 : !quern.weight<48x80, "f32">
    %kv0 = quern.state_ref @kv0 : !quern.state<kv, 2x12x12>
    %k_scale0 = quern.weight_map "add_one" %k_norm0 : !quern.weight<12, "f32"> -> !quern.weight<12, "f32">
    %wq1 = quern.weight_ref @wq1 : !quern.weight<48x48, "f32">
    %wk1 = quern.weight_ref @wk1 : !quern.weight<24x48, "f32">
    %wv1 = quern.weight_ref @wv1 : !quern.weight<24x48, "f32">
    %wo1 = quern.weight_ref @wo1 : !quern.weight<48x48, "f32">
    %q_norm1 = quern.weight_ref @q_norm1 : !quern.weight<12, "f32">
    %k_norm1 = quern.weight_ref @k_norm1 : !quern.weight<12, "f32">
    %gate_up1 = quern.weight_ref @gate_up1 : !quern.weight<160x48, "f32">
    %down1 = quern.weight_ref @down1 : !quern.weight<48x80, "f32">
    %kv1 = quern.state_ref @kv1 : !quern.state<kv, 2x12x12>
    %k_scale1 = quern.weight_map "add_one" %k_norm1 : !quern.weight<12, "f32"> -> !quern.weight<12, "f32">
    %head = quern.weight_ref @head : !quern.weight<101x48, "f32">
    %table0 = quern.rope_table %batch {inv_freq = array<f32: 1.0, 0.5, 0.25, 0.1, 0.03, 0.01>} : !T12
    %table1 = quern.rope_table %batch {inv_freq = array<f32: 0.7, 0.1, 0.01>, scale = 1.25 : f32} : !T6
    %te = quern.embedding %tokens, %wte : (!tokens, !quern.weight<101x48, "f32">) -> !T48
    %positions = quern.positions %batch {offset = 2 : i64} : !tokens
    %pe = quern.embedding %positions, %wpe : (!tokens, !quern.weight<258x48, "f32">) -> !T48
    %x = quern.binary add %te, %pe : !T48, !T48
    %n0 = quern.layer_norm %x {eps = 1.0e-5 : f32} : (!T48) -> !T48
    %qp0 = quern.linear %n0, %wq0 : (!T48, !quern.weight<48x48, "f32">) -> !T48
    %qc0 = quern.clamp %qp0 {min = -0.75 : f32, max = 0.75 : f32} : !T48
    %kp0 = quern.linear %n0, %wk0 : (!T48, !quern.weight<24x48, "f32">) -> !T24
    %kc0 = quern.clamp %kp0 {min = -0.75 : f32, max = 0.75 : f32} : !T24
    %vp0 = quern.linear %n0, %wv0 : (!T48, !quern.weight<24x48, "f32">) -> !T24
    %vc0 = quern.clamp %vp0 {min = -0.75 : f32, max = 0.75 : f32} : !T24
    %qr0 = quern.rope %qc0, %table0 {head_dim = 12 : i64} : (!T48, !T12) -> !T48
    %q0 = quern.rms_norm %qr0, %q_norm0 {eps = 1.0e-5 : f32, group = 12 : i64} : (!T48, !quern.weight<12, "f32">) -> !T48
    %kr0 = quern.rope %kc0, %table0 {head_dim = 12 : i64} : (!T24, !T12) -> !T24
    %k0 = quern.rms_norm %kr0, %k_scale0 {eps = 1.0e-5 : f32, group = 12 : i64} : (!T24, !quern.weight<12, "f32">) -> !T24
    quern.kv_append %k0, %vc0, %batch, %kv0 : !T24, !T24, !quern.batch, !quern.state<kv, 2x12x12>
    %a0 = quern.attention %q0, %batch, %kv0 {heads = 4 : i64, scale = 0.28867513 : f32} : (!T48, !quern.batch, !quern.state<kv, 2x12x12>) -> !T48
    %o0 = quern.linear %a0, %wo0 : (!T48, !quern.weight<48x48, "f32">) -> !T48
    %y0 = quern.binary add %x, %o0 : !T48, !T48
    %m0 = quern.layer_norm %y0 {eps = 1.0e-5 : f32} : (!T48) -> !T48
    %gu0 = quern.linear %m0, %gate_up0 : (!T48, !quern.weight<160x48, "f32">) -> !T160
    %g0 = quern.slice %gu0 {offset = 0 : i64} : !T160 -> !T80
    %u0 = quern.slice %gu0 {offset = 80 : i64} : !T160 -> !T80
    %act0 = quern.gated_act quick_gelu %g0, %u0 : !T80
    %d0 = quern.linear %act0, %down0 : (!T80, !quern.weight<48x80, "f32">) -> !T48
    %z0 = quern.binary add %y0, %d0 : !T48, !T48
    %n1 = quern.layer_norm %z0 {eps = 1.0e-5 : f32} : (!T48) -> !T48
    %qp1 = quern.linear %n1, %wq1 : (!T48, !quern.weight<48x48, "f32">) -> !T48
    %qc1 = quern.clamp %qp1 {min = -0.75 : f32, max = 0.75 : f32} : !T48
    %kp1 = quern.linear %n1, %wk1 : (!T48, !quern.weight<24x48, "f32">) -> !T24
    %kc1 = quern.clamp %kp1 {min = -0.75 : f32, max = 0.75 : f32} : !T24
    %vp1 = quern.linear %n1, %wv1 : (!T48, !quern.weight<24x48, "f32">) -> !T24
    %vc1 = quern.clamp %vp1 {min = -0.75 : f32, max = 0.75 : f32} : !T24
    %qr1 = quern.rope %qc1, %table1 {head_dim = 12 : i64} : (!T48, !T6) -> !T48
    %q1 = quern.rms_norm %qr1, %q_norm1 {eps = 1.0e-5 : f32, group = 12 : i64} : (!T48, !quern.weight<12, "f32">) -> !T48
    %kr1 = quern.rope %kc1, %table1 {head_dim = 12 : i64} : (!T24, !T6) -> !T24
    %k1 = quern.rms_norm %kr1, %k_scale1 {eps = 1.0e-5 : f32, group = 12 : i64} : (!T24, !quern.weight<12, "f32">) -> !T24
    quern.kv_append %k1, %vc1, %batch, %kv1 : !T24, !T24, !quern.batch, !quern.state<kv, 2x12x12>
    %a1 = quern.attention %q1, %batch, %kv1 {heads = 4 : i64, scale = 0.28867513 : f32, window = 9 : i64} : (!T48, !quern.batch, !quern.state<kv, 2x12x12>) -> !T48
    %o1 = quern.linear %a1, %wo1 : (!T48, !quern.weight<48x48, "f32">) -> !T48
    %y1 = quern.binary add %z0, %o1 : !T48, !T48
    %m1 = quern.layer_norm %y1 {eps = 1.0e-5 : f32} : (!T48) -> !T48
    %gu1 = quern.linear %m1, %gate_up1 : (!T48, !quern.weight<160x48, "f32">) -> !T160
    %g1 = quern.slice %gu1 {offset = 0 : i64} : !T160 -> !T80
    %u1 = quern.slice %gu1 {offset = 80 : i64} : !T160 -> !T80
    %act1 = quern.gated_act quick_gelu %g1, %u1 : !T80
    %d1 = quern.linear %act1, %down1 : (!T80, !quern.weight<48x80, "f32">) -> !T48
    %z1 = quern.binary add %y1, %d1 : !T48, !T48
    %last = quern.gather_rows %z1, %rows : (!T48, !rows) -> !R48
    %nf = quern.layer_norm %last {eps = 1.0e-5 : f32} : (!R48) -> !R48
    %logits = quern.linear %nf, %head : (!R48, !quern.weight<101x48, "f32">) -> !R101
    return %logits : !R101
  }
}

// Two decoder layers with grouped heads, query and key norms, a gated MLP and a tied output projection.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R64 = tensor<?x64xf32, #quern.dims<"R">>
!R96 = tensor<?x96xf32, #quern.dims<"R">>
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
!T64 = tensor<?x64xf32, #quern.dims<"T">>
!T96 = tensor<?x96xf32, #quern.dims<"T">>
module attributes {quern.files = [], quern.model = {family = "qwen3", vocab = 96 : i64, context = 128 : i64, synthetic}} {
  quern.weight @"embed" : !quern.weight<96x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.5 : f32}
  quern.weight @"l0.input_norm" : !quern.weight<64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 1.0 : f32, spread = 0.1 : f32}
  quern.weight @"l0.q" : !quern.weight<64x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @"l0.k" : !quern.weight<32x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @"l0.v" : !quern.weight<32x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @"l0.q_norm" : !quern.weight<16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 1.0 : f32, spread = 0.1 : f32}
  quern.weight @"l0.k_norm" : !quern.weight<16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 1.0 : f32, spread = 0.1 : f32}
  quern.weight @"l0.o" : !quern.weight<64x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @"l0.post_norm" : !quern.weight<64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 1.0 : f32, spread = 0.1 : f32}
  quern.weight @"l0.gate" : !quern.weight<96x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @"l0.up" : !quern.weight<96x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @"l0.down" : !quern.weight<64x96, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @"l1.input_norm" : !quern.weight<64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 1.0 : f32, spread = 0.1 : f32}
  quern.weight @"l1.q" : !quern.weight<64x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @"l1.k" : !quern.weight<32x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @"l1.v" : !quern.weight<32x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @"l1.q_norm" : !quern.weight<16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 1.0 : f32, spread = 0.1 : f32}
  quern.weight @"l1.k_norm" : !quern.weight<16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 1.0 : f32, spread = 0.1 : f32}
  quern.weight @"l1.o" : !quern.weight<64x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @"l1.post_norm" : !quern.weight<64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 1.0 : f32, spread = 0.1 : f32}
  quern.weight @"l1.gate" : !quern.weight<96x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @"l1.up" : !quern.weight<96x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @"l1.down" : !quern.weight<64x96, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @"norm" : !quern.weight<64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 1.0 : f32, spread = 0.1 : f32}
  quern.declare_state @"l0.kv" : !quern.state<kv, 2x16x16>
  quern.declare_state @"l1.kv" : !quern.state<kv, 2x16x16>
  func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R96 {
    %embed = quern.weight_ref @"embed" : !quern.weight<96x64, "f32">
    %l0_input_norm = quern.weight_ref @"l0.input_norm" : !quern.weight<64, "f32">
    %l0_q = quern.weight_ref @"l0.q" : !quern.weight<64x64, "f32">
    %l0_k = quern.weight_ref @"l0.k" : !quern.weight<32x64, "f32">
    %l0_v = quern.weight_ref @"l0.v" : !quern.weight<32x64, "f32">
    %l0_kv = quern.state_ref @"l0.kv" : !quern.state<kv, 2x16x16>
    %l0_q_norm = quern.weight_ref @"l0.q_norm" : !quern.weight<16, "f32">
    %l0_k_norm = quern.weight_ref @"l0.k_norm" : !quern.weight<16, "f32">
    %l0_o = quern.weight_ref @"l0.o" : !quern.weight<64x64, "f32">
    %l0_post_norm = quern.weight_ref @"l0.post_norm" : !quern.weight<64, "f32">
    %l0_gate = quern.weight_ref @"l0.gate" : !quern.weight<96x64, "f32">
    %l0_up = quern.weight_ref @"l0.up" : !quern.weight<96x64, "f32">
    %l0_down = quern.weight_ref @"l0.down" : !quern.weight<64x96, "f32">
    %l1_input_norm = quern.weight_ref @"l1.input_norm" : !quern.weight<64, "f32">
    %l1_q = quern.weight_ref @"l1.q" : !quern.weight<64x64, "f32">
    %l1_k = quern.weight_ref @"l1.k" : !quern.weight<32x64, "f32">
    %l1_v = quern.weight_ref @"l1.v" : !quern.weight<32x64, "f32">
    %l1_kv = quern.state_ref @"l1.kv" : !quern.state<kv, 2x16x16>
    %l1_q_norm = quern.weight_ref @"l1.q_norm" : !quern.weight<16, "f32">
    %l1_k_norm = quern.weight_ref @"l1.k_norm" : !quern.weight<16, "f32">
    %l1_o = quern.weight_ref @"l1.o" : !quern.weight<64x64, "f32">
    %l1_post_norm = quern.weight_ref @"l1.post_norm" : !quern.weight<64, "f32">
    %l1_gate = quern.weight_ref @"l1.gate" : !quern.weight<96x64, "f32">
    %l1_up = quern.weight_ref @"l1.up" : !quern.weight<96x64, "f32">
    %l1_down = quern.weight_ref @"l1.down" : !quern.weight<64x96, "f32">
    %norm = quern.weight_ref @"norm" : !quern.weight<64, "f32">
    %cs = quern.rope_table %batch {inv_freq = array<f32: 1.0, 0.5, 0.25, 0.125, 0.06, 0.03, 0.01, 0.001>} : !T16
    %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<96x64, "f32">) -> !T64 loc("model.embed_tokens")
    %n1 = quern.rms_norm %x, %l0_input_norm {eps = 1.0e-5 : f32} : (!T64, !quern.weight<64, "f32">) -> !T64 loc("model.layers.0.input_layernorm")
    %y2 = quern.linear %n1, %l0_q : (!T64, !quern.weight<64x64, "f32">) -> !T64 loc("model.layers.0.self_attn.q_proj")
    %y3 = quern.linear %n1, %l0_k : (!T64, !quern.weight<32x64, "f32">) -> !T32 loc("model.layers.0.self_attn.k_proj")
    %y4 = quern.linear %n1, %l0_v : (!T64, !quern.weight<32x64, "f32">) -> !T32 loc("model.layers.0.self_attn.v_proj")
    %n5 = quern.rms_norm %y2, %l0_q_norm {eps = 1.0e-5 : f32, group = 16 : i64} : (!T64, !quern.weight<16, "f32">) -> !T64 loc("model.layers.0.self_attn.q_norm")
    %n6 = quern.rms_norm %y3, %l0_k_norm {eps = 1.0e-5 : f32, group = 16 : i64} : (!T32, !quern.weight<16, "f32">) -> !T32 loc("model.layers.0.self_attn.k_norm")
    %q7 = quern.rope %n5, %cs {head_dim = 16 : i64} : (!T64, !T16) -> !T64
    %k8 = quern.rope %n6, %cs {head_dim = 16 : i64} : (!T32, !T16) -> !T32
    quern.kv_append %k8, %y4, %batch, %l0_kv : !T32, !T32, !quern.batch, !quern.state<kv, 2x16x16> loc("model.layers.0.self_attn.cache")
    %a9 = quern.attention %q7, %batch, %l0_kv {heads = 4 : i64, scale = 0.25 : f32} : (!T64, !quern.batch, !quern.state<kv, 2x16x16>) -> !T64 loc("model.layers.0.self_attn")
    %y10 = quern.linear %a9, %l0_o : (!T64, !quern.weight<64x64, "f32">) -> !T64 loc("model.layers.0.self_attn.o_proj")
    %x11 = quern.binary add %x, %y10 : !T64, !T64
    %n12 = quern.rms_norm %x11, %l0_post_norm {eps = 1.0e-5 : f32} : (!T64, !quern.weight<64, "f32">) -> !T64 loc("model.layers.0.post_attention_layernorm")
    %y13 = quern.linear %n12, %l0_gate : (!T64, !quern.weight<96x64, "f32">) -> !T96 loc("model.layers.0.mlp.gate_proj")
    %y14 = quern.linear %n12, %l0_up : (!T64, !quern.weight<96x64, "f32">) -> !T96 loc("model.layers.0.mlp.up_proj")
    %h15 = quern.gated_act silu %y13, %y14 : !T96
    %y16 = quern.linear %h15, %l0_down : (!T96, !quern.weight<64x96, "f32">) -> !T64 loc("model.layers.0.mlp.down_proj")
    %x17 = quern.binary add %x11, %y16 : !T64, !T64
    %n18 = quern.rms_norm %x17, %l1_input_norm {eps = 1.0e-5 : f32} : (!T64, !quern.weight<64, "f32">) -> !T64 loc("model.layers.1.input_layernorm")
    %y19 = quern.linear %n18, %l1_q : (!T64, !quern.weight<64x64, "f32">) -> !T64 loc("model.layers.1.self_attn.q_proj")
    %y20 = quern.linear %n18, %l1_k : (!T64, !quern.weight<32x64, "f32">) -> !T32 loc("model.layers.1.self_attn.k_proj")
    %y21 = quern.linear %n18, %l1_v : (!T64, !quern.weight<32x64, "f32">) -> !T32 loc("model.layers.1.self_attn.v_proj")
    %n22 = quern.rms_norm %y19, %l1_q_norm {eps = 1.0e-5 : f32, group = 16 : i64} : (!T64, !quern.weight<16, "f32">) -> !T64 loc("model.layers.1.self_attn.q_norm")
    %n23 = quern.rms_norm %y20, %l1_k_norm {eps = 1.0e-5 : f32, group = 16 : i64} : (!T32, !quern.weight<16, "f32">) -> !T32 loc("model.layers.1.self_attn.k_norm")
    %q24 = quern.rope %n22, %cs {head_dim = 16 : i64} : (!T64, !T16) -> !T64
    %k25 = quern.rope %n23, %cs {head_dim = 16 : i64} : (!T32, !T16) -> !T32
    quern.kv_append %k25, %y21, %batch, %l1_kv : !T32, !T32, !quern.batch, !quern.state<kv, 2x16x16> loc("model.layers.1.self_attn.cache")
    %a26 = quern.attention %q24, %batch, %l1_kv {heads = 4 : i64, scale = 0.25 : f32} : (!T64, !quern.batch, !quern.state<kv, 2x16x16>) -> !T64 loc("model.layers.1.self_attn")
    %y27 = quern.linear %a26, %l1_o : (!T64, !quern.weight<64x64, "f32">) -> !T64 loc("model.layers.1.self_attn.o_proj")
    %x28 = quern.binary add %x17, %y27 : !T64, !T64
    %n29 = quern.rms_norm %x28, %l1_post_norm {eps = 1.0e-5 : f32} : (!T64, !quern.weight<64, "f32">) -> !T64 loc("model.layers.1.post_attention_layernorm")
    %y30 = quern.linear %n29, %l1_gate : (!T64, !quern.weight<96x64, "f32">) -> !T96 loc("model.layers.1.mlp.gate_proj")
    %y31 = quern.linear %n29, %l1_up : (!T64, !quern.weight<96x64, "f32">) -> !T96 loc("model.layers.1.mlp.up_proj")
    %h32 = quern.gated_act silu %y30, %y31 : !T96
    %y33 = quern.linear %h32, %l1_down : (!T96, !quern.weight<64x96, "f32">) -> !T64 loc("model.layers.1.mlp.down_proj")
    %x34 = quern.binary add %x28, %y33 : !T64, !T64
    %r = quern.gather_rows %x34, %rows : (!T64, !rows) -> !R64
    %n35 = quern.rms_norm %r, %norm {eps = 1.0e-5 : f32} : (!R64, !quern.weight<64, "f32">) -> !R64 loc("model.norm")
    %y36 = quern.linear %n35, %embed : (!R64, !quern.weight<96x64, "f32">) -> !R96 loc("lm_head")
    return %y36 : !R96
  }
}

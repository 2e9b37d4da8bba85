// As GPT-2 computes: learned positions, layer norms with weight and bias, matrices stored [inputs, outputs] with
// queries, keys and values side by side, a head that is the embedding.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R48 = tensor<?x48xf32, #quern.dims<"R">>
!R101 = tensor<?x101xf32, #quern.dims<"R">>
!T48 = tensor<?x48xf32, #quern.dims<"T">>
!T80 = tensor<?x80xf32, #quern.dims<"T">>
!T144 = tensor<?x144xf32, #quern.dims<"T">>
module attributes {quern.files = [], quern.model = {context = 256 : i64, family = "gpt2", hidden = 48 : i64, layers = 1 : i64, synthetic, vocab = 101 : i64}} {
  quern.weight @wte : !quern.weight<101x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @wpe : !quern.weight<256x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @ln1 : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @ln1_bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @attn : !quern.weight<48x144, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @attn_bias : !quern.weight<144, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @proj : !quern.weight<48x48, "f16"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @proj_bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @ln2 : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @ln2_bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @fc : !quern.weight<48x80, "bf16"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @fc_bias : !quern.weight<80, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @down : !quern.weight<80x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @down_bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @lnf : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @lnf_bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.declare_state @kv : !quern.state<kv, 4x12x12>
  func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R101 {
    %wte = quern.weight_ref @wte : !quern.weight<101x48, "f32">
    %wpe = quern.weight_ref @wpe : !quern.weight<256x48, "f32">
    %ln1 = quern.weight_ref @ln1 : !quern.weight<48, "f32">
    %ln1_bias = quern.weight_ref @ln1_bias : !quern.weight<48, "f32">
    %attn = quern.weight_ref @attn : !quern.weight<48x144, "f32">
    %attn_bias = quern.weight_ref @attn_bias : !quern.weight<144, "f32">
    %proj = quern.weight_ref @proj : !quern.weight<48x48, "f16">
    %proj_bias = quern.weight_ref @proj_bias : !quern.weight<48, "f32">
    %ln2 = quern.weight_ref @ln2 : !quern.weight<48, "f32">
    %ln2_bias = quern.weight_ref @ln2_bias : !quern.weight<48, "f32">
    %fc = quern.weight_ref @fc : !quern.weight<48x80, "bf16">
    %fc_bias = quern.weight_ref @fc_bias : !quern.weight<80, "f32">
    %down = quern.weight_ref @down : !quern.weight<80x48, "f32">
    %down_bias = quern.weight_ref @down_bias : !quern.weight<48, "f32">
    %lnf = quern.weight_ref @lnf : !quern.weight<48, "f32">
    %lnf_bias = quern.weight_ref @lnf_bias : !quern.weight<48, "f32">
    %kv = quern.state_ref @kv : !quern.state<kv, 4x12x12>
    %attn_t = quern.weight_transpose %attn : !quern.weight<48x144, "f32"> -> !quern.weight<144x48, "f32">
    %proj_t = quern.weight_transpose %proj : !quern.weight<48x48, "f16"> -> !quern.weight<48x48, "f16">
    %fc_t = quern.weight_transpose %fc : !quern.weight<48x80, "bf16"> -> !quern.weight<80x48, "bf16">
    %down_t = quern.weight_transpose %down : !quern.weight<80x48, "f32"> -> !quern.weight<48x80, "f32">
    %te = quern.embedding %tokens, %wte : (!tokens, !quern.weight<101x48, "f32">) -> !T48
    %positions = quern.positions %batch : !tokens
    %pe = quern.embedding %positions, %wpe : (!tokens, !quern.weight<256x48, "f32">) -> !T48
    %x0 = quern.binary add %te, %pe : !T48, !T48
    %n1 = quern.layer_norm %x0 weight %ln1 bias %ln1_bias {eps = 1.0e-5 : f32} : (!T48, !quern.weight<48, "f32">, !quern.weight<48, "f32">) -> !T48
    %qkv = quern.linear %n1, %attn_t, %attn_bias : (!T48, !quern.weight<144x48, "f32">, !quern.weight<144, "f32">) -> !T144
    %q = quern.slice %qkv {offset = 0 : i64} : !T144 -> !T48
    %k = quern.slice %qkv {offset = 48 : i64} : !T144 -> !T48
    %v = quern.slice %qkv {offset = 96 : i64} : !T144 -> !T48
    quern.kv_append %k, %v, %batch, %kv : !T48, !T48, !quern.batch, !quern.state<kv, 4x12x12>
    %a = quern.attention %q, %batch, %kv {heads = 4 : i64, scale = 0.28867513 : f32} : (!T48, !quern.batch, !quern.state<kv, 4x12x12>) -> !T48
    %o = quern.linear %a, %proj_t, %proj_bias : (!T48, !quern.weight<48x48, "f16">, !quern.weight<48, "f32">) -> !T48
    %x1 = quern.binary add %o, %x0 : !T48, !T48
    %n2 = quern.layer_norm %x1 weight %ln2 bias %ln2_bias {eps = 1.0e-5 : f32} : (!T48, !quern.weight<48, "f32">, !quern.weight<48, "f32">) -> !T48
    %f = quern.linear %n2, %fc_t, %fc_bias : (!T48, !quern.weight<80x48, "bf16">, !quern.weight<80, "f32">) -> !T80
    %g = quern.unary gelu_tanh %f : !T80
    %d = quern.linear %g, %down_t, %down_bias : (!T80, !quern.weight<48x80, "f32">, !quern.weight<48, "f32">) -> !T48
    %x2 = quern.binary add %x1, %d : !T48, !T48
    %last = quern.gather_rows %x2, %rows : (!T48, !rows) -> !R48
    %nf = quern.layer_norm %last weight %lnf bias %lnf_bias {eps = 1.0e-5 : f32} : (!R48, !quern.weight<48, "f32">, !quern.weight<48, "f32">) -> !R48
    %logits = quern.linear %nf, %wte : (!R48, !quern.weight<101x48, "f32">) -> !R101
    return %logits : !R101
  }
}

// As Falcon's grouped decoder computes: each kv head's queries, key and value in turn in one matrix, ALiBi rounded to
// bfloat16, attention and MLP in parallel with norms of their own; attention sinks and a window.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R48 = tensor<?x48xf32, #quern.dims<"R">>
!R101 = tensor<?x101xf32, #quern.dims<"R">>
!T24 = tensor<?x24xf32, #quern.dims<"T">>
!T48 = tensor<?x48xf32, #quern.dims<"T">>
!T80 = tensor<?x80xf32, #quern.dims<"T">>
module attributes {quern.files = [], quern.model = {context = 256 : i64, family = "falcon", hidden = 48 : i64, layers = 1 : i64, synthetic, vocab = 101 : i64}} {
  quern.weight @wte : !quern.weight<101x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @ln_attn : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @ln_attn_bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @ln_mlp : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @ln_mlp_bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @qkv : !quern.weight<96x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @dense : !quern.weight<48x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @up : !quern.weight<80x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @down : !quern.weight<48x80, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @sinks : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 1.0 : f32}
  quern.weight @lnf : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @lnf_bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @head : !quern.weight<101x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.declare_state @kv : !quern.state<kv, 2x12x12>
  func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R101 {
    %wte = quern.weight_ref @wte : !quern.weight<101x48, "f32">
    %ln_attn = quern.weight_ref @ln_attn : !quern.weight<48, "f32">
    %ln_attn_bias = quern.weight_ref @ln_attn_bias : !quern.weight<48, "f32">
    %ln_mlp = quern.weight_ref @ln_mlp : !quern.weight<48, "f32">
    %ln_mlp_bias = quern.weight_ref @ln_mlp_bias : !quern.weight<48, "f32">
    %qkv = quern.weight_ref @qkv : !quern.weight<96x48, "f32">
    %dense = quern.weight_ref @dense : !quern.weight<48x48, "f32">
    %up = quern.weight_ref @up : !quern.weight<80x48, "f32">
    %down = quern.weight_ref @down : !quern.weight<48x80, "f32">
    %sinks = quern.weight_ref @sinks : !quern.weight<4, "f32">
    %lnf = quern.weight_ref @lnf : !quern.weight<48, "f32">
    %lnf_bias = quern.weight_ref @lnf_bias : !quern.weight<48, "f32">
    %head = quern.weight_ref @head : !quern.weight<101x48, "f32">
    %kv = quern.state_ref @kv : !quern.state<kv, 2x12x12>
    %wq = quern.weight_rows %qkv {offset = 0 : i64, block = 24 : i64, stride = 48 : i64} : !quern.weight<96x48, "f32"> -> !quern.weight<48x48, "f32">
    %wk = quern.weight_rows %qkv {offset = 24 : i64, block = 12 : i64, stride = 48 : i64} : !quern.weight<96x48, "f32"> -> !quern.weight<24x48, "f32">
    %wv = quern.weight_rows %qkv {offset = 36 : i64, block = 12 : i64, stride = 48 : i64} : !quern.weight<96x48, "f32"> -> !quern.weight<24x48, "f32">
    %x0 = quern.embedding %tokens, %wte : (!tokens, !quern.weight<101x48, "f32">) -> !T48
    %n1 = quern.layer_norm %x0 weight %ln_attn bias %ln_attn_bias {eps = 1.0e-5 : f32} : (!T48, !quern.weight<48, "f32">, !quern.weight<48, "f32">) -> !T48
    %n2 = quern.layer_norm %x0 weight %ln_mlp bias %ln_mlp_bias {eps = 1.0e-5 : f32} : (!T48, !quern.weight<48, "f32">, !quern.weight<48, "f32">) -> !T48
    %q = quern.linear %n1, %wq : (!T48, !quern.weight<48x48, "f32">) -> !T48
    %k = quern.linear %n1, %wk : (!T48, !quern.weight<24x48, "f32">) -> !T24
    %v = quern.linear %n1, %wv : (!T48, !quern.weight<24x48, "f32">) -> !T24
    quern.kv_append %k, %v, %batch, %kv : !T24, !T24, !quern.batch, !quern.state<kv, 2x12x12>
    %a = quern.attention %q, %batch, %kv, %sinks {heads = 4 : i64, scale = 0.28867513 : f32, window = 70 : i64, alibi = array<f32: 0.70703125, 0.125, 0.5, 0.03125>, alibi_bf16 = true} : (!T48, !quern.batch, !quern.state<kv, 2x12x12>, !quern.weight<4, "f32">) -> !T48
    %o = quern.linear %a, %dense : (!T48, !quern.weight<48x48, "f32">) -> !T48
    %f = quern.linear %n2, %up : (!T48, !quern.weight<80x48, "f32">) -> !T80
    %g = quern.unary gelu_erf %f : !T80
    %d = quern.linear %g, %down : (!T80, !quern.weight<48x80, "f32">) -> !T48
    %both = quern.binary add %d, %o : !T48, !T48
    %x1 = quern.binary add %both, %x0 : !T48, !T48
    %last = quern.gather_rows %x1, %rows : (!T48, !rows) -> !R48
    %nf = quern.layer_norm %last weight %lnf bias %lnf_bias {eps = 1.0e-5 : f32} : (!R48, !quern.weight<48, "f32">, !quern.weight<48, "f32">) -> !R48
    %logits = quern.linear %nf, %head : (!R48, !quern.weight<101x48, "f32">) -> !R101
    return %logits : !R101
  }
}

// As BLOOM and GPT-NeoX compute: queries, keys and values of each head in turn in one matrix and one bias, ALiBi, a norm
// of the embedding; squared relu as Nemotron has it.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R48 = tensor<?x48xf32, #quern.dims<"R">>
!R101 = tensor<?x101xf32, #quern.dims<"R">>
!T48 = tensor<?x48xf32, #quern.dims<"T">>
!T70 = tensor<?x70xf32, #quern.dims<"T">>
module attributes {quern.files = [], quern.model = {context = 256 : i64, family = "bloom", hidden = 48 : i64, layers = 1 : i64, synthetic, vocab = 101 : i64}} {
  quern.weight @wte : !quern.weight<101x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @lne : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @lne_bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @ln1 : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @ln1_bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @qkv : !quern.weight<144x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @qkv_bias : !quern.weight<144, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @dense : !quern.weight<48x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @dense_bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @ln2 : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @ln2_bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @up : !quern.weight<70x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @up_bias : !quern.weight<70, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @down : !quern.weight<48x70, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @down_bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @lnf : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @lnf_bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @head : !quern.weight<101x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.declare_state @kv : !quern.state<kv, 4x12x12>
  func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R101 {
    %wte = quern.weight_ref @wte : !quern.weight<101x48, "f32">
    %lne = quern.weight_ref @lne : !quern.weight<48, "f32">
    %lne_bias = quern.weight_ref @lne_bias : !quern.weight<48, "f32">
    %ln1 = quern.weight_ref @ln1 : !quern.weight<48, "f32">
    %ln1_bias = quern.weight_ref @ln1_bias : !quern.weight<48, "f32">
    %qkv = quern.weight_ref @qkv : !quern.weight<144x48, "f32">
    %qkv_bias = quern.weight_ref @qkv_bias : !quern.weight<144, "f32">
    %dense = quern.weight_ref @dense : !quern.weight<48x48, "f32">
    %dense_bias = quern.weight_ref @dense_bias : !quern.weight<48, "f32">
    %ln2 = quern.weight_ref @ln2 : !quern.weight<48, "f32">
    %ln2_bias = quern.weight_ref @ln2_bias : !quern.weight<48, "f32">
    %up = quern.weight_ref @up : !quern.weight<70x48, "f32">
    %up_bias = quern.weight_ref @up_bias : !quern.weight<70, "f32">
    %down = quern.weight_ref @down : !quern.weight<48x70, "f32">
    %down_bias = quern.weight_ref @down_bias : !quern.weight<48, "f32">
    %lnf = quern.weight_ref @lnf : !quern.weight<48, "f32">
    %lnf_bias = quern.weight_ref @lnf_bias : !quern.weight<48, "f32">
    %head = quern.weight_ref @head : !quern.weight<101x48, "f32">
    %kv = quern.state_ref @kv : !quern.state<kv, 4x12x12>
    %wq = quern.weight_rows %qkv {offset = 0 : i64, block = 12 : i64, stride = 36 : i64} : !quern.weight<144x48, "f32"> -> !quern.weight<48x48, "f32">
    %bq = quern.weight_rows %qkv_bias {offset = 0 : i64, block = 12 : i64, stride = 36 : i64} : !quern.weight<144, "f32"> -> !quern.weight<48, "f32">
    %wk = quern.weight_rows %qkv {offset = 12 : i64, block = 12 : i64, stride = 36 : i64} : !quern.weight<144x48, "f32"> -> !quern.weight<48x48, "f32">
    %bk = quern.weight_rows %qkv_bias {offset = 12 : i64, block = 12 : i64, stride = 36 : i64} : !quern.weight<144, "f32"> -> !quern.weight<48, "f32">
    %wv = quern.weight_rows %qkv {offset = 24 : i64, block = 12 : i64, stride = 36 : i64} : !quern.weight<144x48, "f32"> -> !quern.weight<48x48, "f32">
    %bv = quern.weight_rows %qkv_bias {offset = 24 : i64, block = 12 : i64, stride = 36 : i64} : !quern.weight<144, "f32"> -> !quern.weight<48, "f32">
    %te = quern.embedding %tokens, %wte : (!tokens, !quern.weight<101x48, "f32">) -> !T48
    %x0 = quern.layer_norm %te weight %lne bias %lne_bias {eps = 1.0e-5 : f32} : (!T48, !quern.weight<48, "f32">, !quern.weight<48, "f32">) -> !T48
    %n1 = quern.layer_norm %x0 weight %ln1 bias %ln1_bias {eps = 1.0e-5 : f32} : (!T48, !quern.weight<48, "f32">, !quern.weight<48, "f32">) -> !T48
    %q = quern.linear %n1, %wq, %bq : (!T48, !quern.weight<48x48, "f32">, !quern.weight<48, "f32">) -> !T48
    %k = quern.linear %n1, %wk, %bk : (!T48, !quern.weight<48x48, "f32">, !quern.weight<48, "f32">) -> !T48
    %v = quern.linear %n1, %wv, %bv : (!T48, !quern.weight<48x48, "f32">, !quern.weight<48, "f32">) -> !T48
    quern.kv_append %k, %v, %batch, %kv : !T48, !T48, !quern.batch, !quern.state<kv, 4x12x12>
    %a = quern.attention %q, %batch, %kv {heads = 4 : i64, scale = 0.28867513 : f32, alibi = array<f32: 0.25, 0.0625, 0.015625, 0.00390625>} : (!T48, !quern.batch, !quern.state<kv, 4x12x12>) -> !T48
    %o = quern.linear %a, %dense, %dense_bias : (!T48, !quern.weight<48x48, "f32">, !quern.weight<48, "f32">) -> !T48
    %x1 = quern.binary add %o, %x0 : !T48, !T48
    %n2 = quern.layer_norm %x1 weight %ln2 bias %ln2_bias {eps = 1.0e-5 : f32} : (!T48, !quern.weight<48, "f32">, !quern.weight<48, "f32">) -> !T48
    %f = quern.linear %n2, %up, %up_bias : (!T48, !quern.weight<70x48, "f32">, !quern.weight<70, "f32">) -> !T70
    %g = quern.unary relu2 %f : !T70
    %d = quern.linear %g, %down, %down_bias : (!T70, !quern.weight<48x70, "f32">, !quern.weight<48, "f32">) -> !T48
    %x2 = quern.binary add %d, %x1 : !T48, !T48
    %last = quern.gather_rows %x2, %rows : (!T48, !rows) -> !R48
    %nf = quern.layer_norm %last weight %lnf bias %lnf_bias {eps = 1.0e-5 : f32} : (!R48, !quern.weight<48, "f32">, !quern.weight<48, "f32">) -> !R48
    %logits = quern.linear %nf, %head : (!R48, !quern.weight<101x48, "f32">) -> !R101
    return %logits : !R101
  }
}

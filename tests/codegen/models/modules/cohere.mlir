// As Cohere computes: one norm without a bias for attention and MLP side by side, norms of heads with a weight for all
// columns, rotations of neighbouring columns of a part of each head; logits scaled, and soft-capped as Gemma's are.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R48 = tensor<?x48xf32, #quern.dims<"R">>
!R101 = tensor<?x101xf32, #quern.dims<"R">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
!T24 = tensor<?x24xf32, #quern.dims<"T">>
!T48 = tensor<?x48xf32, #quern.dims<"T">>
!T80 = tensor<?x80xf32, #quern.dims<"T">>
module attributes {quern.files = [], quern.model = {context = 256 : i64, family = "cohere", hidden = 48 : i64, layers = 1 : i64, synthetic, vocab = 101 : i64}} {
  quern.weight @wte : !quern.weight<101x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @ln1 : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @wq : !quern.weight<48x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @wk : !quern.weight<24x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @wv : !quern.weight<24x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @wo : !quern.weight<48x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @q_norm : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @k_norm : !quern.weight<24, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @gate : !quern.weight<80x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @up : !quern.weight<80x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @down : !quern.weight<48x80, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @lnf : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.declare_state @kv : !quern.state<kv, 2x12x12>
  func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R101 {
    %wte = quern.weight_ref @wte : !quern.weight<101x48, "f32">
    %ln1 = quern.weight_ref @ln1 : !quern.weight<48, "f32">
    %wq = quern.weight_ref @wq : !quern.weight<48x48, "f32">
    %wk = quern.weight_ref @wk : !quern.weight<24x48, "f32">
    %wv = quern.weight_ref @wv : !quern.weight<24x48, "f32">
    %wo = quern.weight_ref @wo : !quern.weight<48x48, "f32">
    %q_norm = quern.weight_ref @q_norm : !quern.weight<48, "f32">
    %k_norm = quern.weight_ref @k_norm : !quern.weight<24, "f32">
    %gate = quern.weight_ref @gate : !quern.weight<80x48, "f32">
    %up = quern.weight_ref @up : !quern.weight<80x48, "f32">
    %down = quern.weight_ref @down : !quern.weight<48x80, "f32">
    %lnf = quern.weight_ref @lnf : !quern.weight<48, "f32">
    %kv = quern.state_ref @kv : !quern.state<kv, 2x12x12>
    %table = quern.rope_table %batch {inv_freq = array<f32: 1.0, 0.3, 0.1, 0.01>} : !T8
    %x0 = quern.embedding %tokens, %wte : (!tokens, !quern.weight<101x48, "f32">) -> !T48
    %n1 = quern.layer_norm %x0 weight %ln1 {eps = 1.0e-5 : f32} : (!T48, !quern.weight<48, "f32">) -> !T48
    %q0 = quern.linear %n1, %wq : (!T48, !quern.weight<48x48, "f32">) -> !T48
    %k0 = quern.linear %n1, %wk : (!T48, !quern.weight<24x48, "f32">) -> !T24
    %v = quern.linear %n1, %wv : (!T48, !quern.weight<24x48, "f32">) -> !T24
    %q1 = quern.layer_norm %q0 weight %q_norm {eps = 1.0e-5 : f32, group = 12 : i64} : (!T48, !quern.weight<48, "f32">) -> !T48
    %k1 = quern.layer_norm %k0 weight %k_norm {eps = 1.0e-5 : f32, group = 12 : i64} : (!T24, !quern.weight<24, "f32">) -> !T24
    %q = quern.rope %q1, %table {head_dim = 12 : i64, interleaved = true} : (!T48, !T8) -> !T48
    %k = quern.rope %k1, %table {head_dim = 12 : i64, interleaved = true} : (!T24, !T8) -> !T24
    quern.kv_append %k, %v, %batch, %kv : !T24, !T24, !quern.batch, !quern.state<kv, 2x12x12>
    %a = quern.attention %q, %batch, %kv {heads = 4 : i64, scale = 0.28867513 : f32} : (!T48, !quern.batch, !quern.state<kv, 2x12x12>) -> !T48
    %o = quern.linear %a, %wo : (!T48, !quern.weight<48x48, "f32">) -> !T48
    %g = quern.linear %n1, %gate : (!T48, !quern.weight<80x48, "f32">) -> !T80
    %u = quern.linear %n1, %up : (!T48, !quern.weight<80x48, "f32">) -> !T80
    %act = quern.gated_act silu %g, %u : !T80
    %d = quern.linear %act, %down : (!T80, !quern.weight<48x80, "f32">) -> !T48
    %x1 = quern.binary add %x0, %o : !T48, !T48
    %x2 = quern.binary add %x1, %d : !T48, !T48
    %last = quern.gather_rows %x2, %rows : (!T48, !rows) -> !R48
    %nf = quern.layer_norm %last weight %lnf {eps = 1.0e-5 : f32} : (!R48, !quern.weight<48, "f32">) -> !R48
    %logits = quern.linear %nf, %wte : (!R48, !quern.weight<101x48, "f32">) -> !R101
    %scaled = quern.scale %logits {factor = 0.0625 : f32} : !R101
    %small = quern.scale %scaled {factor = 0.5 : f32} : !R101
    %capped = quern.unary tanh %small : !R101
    %large = quern.scale %capped {factor = 2.0 : f32} : !R101
    return %large : !R101
  }
}

// As DeepSeek's latent attention is computed: queries and values by block-diagonal products whose outputs fill no panel, one
// key of a latent and a rotary part, whose first columns are the values.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R48 = tensor<?x48xf32, #quern.dims<"R">>
!R101 = tensor<?x101xf32, #quern.dims<"R">>
!T6 = tensor<?x6xf32, #quern.dims<"T">>
!T18 = tensor<?x18xf32, #quern.dims<"T">>
!T20 = tensor<?x20xf32, #quern.dims<"T">>
!T26 = tensor<?x26xf32, #quern.dims<"T">>
!T27 = tensor<?x27xf32, #quern.dims<"T">>
!T30 = tensor<?x30xf32, #quern.dims<"T">>
!T48 = tensor<?x48xf32, #quern.dims<"T">>
!T60 = tensor<?x60xf32, #quern.dims<"T">>
!T78 = tensor<?x78xf32, #quern.dims<"T">>
module attributes {quern.files = [], quern.model = {context = 256 : i64, family = "latent", hidden = 48 : i64, layers = 1 : i64, synthetic, vocab = 101 : i64}} {
  quern.weight @wte : !quern.weight<101x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @ln : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @q : !quern.weight<48x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @kv : !quern.weight<26x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @lnc : !quern.weight<20, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @expand : !quern.weight<57x20, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @o : !quern.weight<48x27, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @lnf : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @head : !quern.weight<101x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.declare_state @cache : !quern.state<kv, 1x26x20, shared>
  func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R101 {
    %wte = quern.weight_ref @wte : !quern.weight<101x48, "f32">
    %ln = quern.weight_ref @ln : !quern.weight<48, "f32">
    %q = quern.weight_ref @q : !quern.weight<48x48, "f32">
    %kv = quern.weight_ref @kv : !quern.weight<26x48, "f32">
    %lnc = quern.weight_ref @lnc : !quern.weight<20, "f32">
    %expand = quern.weight_ref @expand : !quern.weight<57x20, "f32">
    %o = quern.weight_ref @o : !quern.weight<48x27, "f32">
    %lnf = quern.weight_ref @lnf : !quern.weight<48, "f32">
    %head = quern.weight_ref @head : !quern.weight<101x48, "f32">
    %cache = quern.state_ref @cache : !quern.state<kv, 1x26x20, shared>
    %kr = quern.weight_rows %expand {offset = 0 : i64, block = 10 : i64, stride = 19 : i64} : !quern.weight<57x20, "f32"> -> !quern.weight<30x20, "f32">
    %ks = quern.weight_reshape %kr : !quern.weight<30x20, "f32"> -> !quern.weight<3x10x20, "f32">
    %wk = quern.weight_transpose %ks : !quern.weight<3x10x20, "f32"> -> !quern.weight<3x20x10, "f32">
    %vr = quern.weight_rows %expand {offset = 10 : i64, block = 9 : i64, stride = 19 : i64} : !quern.weight<57x20, "f32"> -> !quern.weight<27x20, "f32">
    %wv = quern.weight_reshape %vr : !quern.weight<27x20, "f32"> -> !quern.weight<3x9x20, "f32">
    %wp = quern.weight_rows %q {offset = 0 : i64, block = 10 : i64, stride = 16 : i64} : !quern.weight<48x48, "f32"> -> !quern.weight<30x48, "f32">
    %wr = quern.weight_rows %q {offset = 10 : i64, block = 6 : i64, stride = 16 : i64} : !quern.weight<48x48, "f32"> -> !quern.weight<18x48, "f32">
    %table = quern.rope_table %batch {inv_freq = array<f32: 1.0, 0.3, 0.1>} : !T6
    %x0 = quern.embedding %tokens, %wte : (!tokens, !quern.weight<101x48, "f32">) -> !T48
    %n = quern.rms_norm %x0, %ln {eps = 1.0e-5 : f32} : (!T48, !quern.weight<48, "f32">) -> !T48
    %p = quern.linear %n, %wp : (!T48, !quern.weight<30x48, "f32">) -> !T30
    %r0 = quern.linear %n, %wr : (!T48, !quern.weight<18x48, "f32">) -> !T18
    %c0 = quern.linear %n, %kv : (!T48, !quern.weight<26x48, "f32">) -> !T26
    %c1 = quern.slice %c0 {offset = 0 : i64} : !T26 -> !T20
    %c = quern.rms_norm %c1, %lnc {eps = 1.0e-6 : f32} : (!T20, !quern.weight<20, "f32">) -> !T20
    %k0 = quern.slice %c0 {offset = 20 : i64} : !T26 -> !T6
    %k = quern.rope %k0, %table {head_dim = 6 : i64, interleaved = true} : (!T6, !T6) -> !T6
    %r = quern.rope %r0, %table {head_dim = 6 : i64, interleaved = true} : (!T18, !T6) -> !T18
    %ql = quern.block_linear %p, %wk : (!T30, !quern.weight<3x20x10, "f32">) -> !T60
    %query = quern.concat %ql, %r {groups = 3 : i64} : (!T60, !T18) -> !T78
    %key = quern.concat %c, %k : (!T20, !T6) -> !T26
    quern.kv_append %key, %batch, %cache : !T26, !quern.batch, !quern.state<kv, 1x26x20, shared>
    %a = quern.attention %query, %batch, %cache {heads = 3 : i64, scale = 0.25 : f32} : (!T78, !quern.batch, !quern.state<kv, 1x26x20, shared>) -> !T60
    %v = quern.block_linear %a, %wv : (!T60, !quern.weight<3x9x20, "f32">) -> !T27
    %d = quern.linear %v, %o : (!T27, !quern.weight<48x27, "f32">) -> !T48
    %x1 = quern.binary add %x0, %d : !T48, !T48
    %last = quern.gather_rows %x1, %rows : (!T48, !rows) -> !R48
    %nf = quern.rms_norm %last, %lnf {eps = 1.0e-5 : f32} : (!R48, !quern.weight<48, "f32">) -> !R48
    %logits = quern.linear %nf, %head : (!R48, !quern.weight<101x48, "f32">) -> !R101
    return %logits : !R101
  }
}

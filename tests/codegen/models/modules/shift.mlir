// What RWKV and RG-LRU are made of beside their recurrences: the token before, gates of blocks of columns, first tokens,
// sums and shares of heads.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R48 = tensor<?x48xf32, #quern.dims<"R">>
!R101 = tensor<?x101xf32, #quern.dims<"R">>
!T1 = tensor<?x1xf32, #quern.dims<"T">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T48 = tensor<?x48xf32, #quern.dims<"T">>
module attributes {quern.files = [], quern.model = {context = 256 : i64, family = "shift", hidden = 48 : i64, layers = 1 : i64, synthetic, vocab = 101 : i64}} {
  quern.weight @wte : !quern.weight<101x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @ln : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @mix : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.5 : f32, spread = 0.2 : f32}
  quern.weight @wk : !quern.weight<48x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @gates : !quern.weight<4x12x12, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @bias : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @one : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.0 : f32}
  quern.weight @o : !quern.weight<48x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @rate : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = -0.3 : f32, spread = 0.2 : f32}
  quern.weight @lnf : !quern.weight<48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @head : !quern.weight<101x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.declare_state @shift : !quern.state<window, 48x1>
  quern.declare_state @memory : !quern.state<recurrent, 2x1x48>
  func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R101 {
    %wte = quern.weight_ref @wte : !quern.weight<101x48, "f32">
    %ln = quern.weight_ref @ln : !quern.weight<48, "f32">
    %mix = quern.weight_ref @mix : !quern.weight<48, "f32">
    %wk = quern.weight_ref @wk : !quern.weight<48x48, "f32">
    %gates = quern.weight_ref @gates : !quern.weight<4x12x12, "f32">
    %bias = quern.weight_ref @bias : !quern.weight<48, "f32">
    %one = quern.weight_ref @one : !quern.weight<48, "f32">
    %o = quern.weight_ref @o : !quern.weight<48x48, "f32">
    %rate = quern.weight_ref @rate : !quern.weight<48, "f32">
    %lnf = quern.weight_ref @lnf : !quern.weight<48, "f32">
    %head = quern.weight_ref @head : !quern.weight<101x48, "f32">
    %shift = quern.state_ref @shift : !quern.state<window, 48x1>
    %memory = quern.state_ref @memory : !quern.state<recurrent, 2x1x48>
    %first = quern.starts %batch : !T1
    %x0 = quern.embedding %tokens, %wte : (!tokens, !quern.weight<101x48, "f32">) -> !T48
    %n = quern.rms_norm %x0, %ln {eps = 1.0e-5 : f32} : (!T48, !quern.weight<48, "f32">) -> !T48
    %before = quern.token_shift %n, %batch, %shift : (!T48, !quern.batch, !quern.state<window, 48x1>) -> !T48
    %change = quern.binary sub %before, %n : !T48, !T48
    %part = quern.binary mul %change, %mix : !T48, !quern.weight<48, "f32">
    %mixed = quern.binary add %part, %n : !T48, !T48
    %k = quern.linear %mixed, %wk : (!T48, !quern.weight<48x48, "f32">) -> !T48
    %g = quern.block_linear %k, %gates, %bias : (!T48, !quern.weight<4x12x12, "f32">, !quern.weight<48, "f32">) -> !T48
    %log = quern.unary log_sigmoid %g : !T48
    %keep = quern.unary one_minus_square_root %log : !T48
    %scale = quern.binary max %keep, %first {repeat = 48 : i64} : !T48, !T1
    %sums = quern.group_sum %k : !T48 -> !T4
    %size = quern.unary abs %k : !T48
    %more = quern.binary add %size, %one : !T48, !quern.weight<48, "f32">
    %share = quern.binary div %k, %more : !T48, !T48
    %bonus = quern.binary mul %share, %sums {repeat = 12 : i64} : !T48, !T4
    %sum = quern.scan %k, %first, %rate, %batch, %memory : (!T48, !T1, !quern.weight<48, "f32">, !quern.batch, !quern.state<recurrent, 2x1x48>) -> !T48 {
    ^bb0(%s: !T48, %m: !T48, %in: !T48, %f: !T1, %d: !quern.weight<48, "f32">):
      %0 = quern.binary sub %m, %f {repeat = 48 : i64} : !T48, !T1
      %1 = quern.binary add %0, %d : !T48, !quern.weight<48, "f32">
      %2 = quern.binary max %1, %in : !T48, !T48
      %3 = quern.binary sub %1, %2 : !T48, !T48
      %4 = quern.unary exp %3 : !T48
      %5 = quern.binary sub %in, %2 : !T48, !T48
      %6 = quern.unary exp %5 : !T48
      %7 = quern.binary mul %4, %s : !T48, !T48
      %8 = quern.binary add %7, %6 : !T48, !T48
      quern.yield %8, %2, %8 : !T48, !T48, !T48
    }
    %scaled = quern.binary mul %bonus, %scale : !T48, !T48
    %both = quern.binary mul %scaled, %sum : !T48, !T48
    %out = quern.linear %both, %o : (!T48, !quern.weight<48x48, "f32">) -> !T48
    %x1 = quern.binary add %x0, %out : !T48, !T48
    %last = quern.gather_rows %x1, %rows : (!T48, !rows) -> !R48
    %nf = quern.rms_norm %last, %lnf {eps = 1.0e-5 : f32} : (!R48, !quern.weight<48, "f32">) -> !R48
    %logits = quern.linear %nf, %head : (!R48, !quern.weight<101x48, "f32">) -> !R101
    return %logits : !R101
  }
}

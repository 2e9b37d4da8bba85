// Hyena's operator, with filters that channels share and with filters of their own, a filter given by more taps than are written
// out, a Monarch matrix, and a norm whose eps is added to the root.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R72 = tensor<?x72xf32, #quern.dims<"R">>
!R101 = tensor<?x101xf32, #quern.dims<"R">>
!T72 = tensor<?x72xf32, #quern.dims<"T">>
!T216 = tensor<?x216xf32, #quern.dims<"T">>
module attributes {quern.files = [], quern.model = {context = 256 : i64, family = "hyena", hidden = 72 : i64, layers = 1 : i64, synthetic, vocab = 101 : i64}} {
  quern.weight @wte : !quern.weight<101x72, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @ln : !quern.weight<72, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @in : !quern.weight<216x72, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @short : !quern.weight<216x3, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.3 : f32, spread = 0.5 : f32}
  quern.weight @bias : !quern.weight<216, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @poles : !quern.weight<5x2x36, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.1 : f32, spread = 0.2 : f32}
  quern.weight @residues : !quern.weight<5x2x36, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.4 : f32}
  quern.weight @skip : !quern.weight<72, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.5 : f32, spread = 0.2 : f32}
  quern.weight @wide : !quern.weight<5x2x72, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @wider : !quern.weight<5x2x72, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.4 : f32}
  quern.weight @taps : !quern.weight<72x21, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.25 : f32}
  quern.weight @right : !quern.weight<6x12x12, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  quern.weight @left : !quern.weight<12x6x6, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.4 : f32}
  quern.weight @o : !quern.weight<72x72, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.weight @lnf : !quern.weight<72, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 1.0 : f32, spread = 0.2 : f32}
  quern.weight @head : !quern.weight<101x72, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 3 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.declare_state @window : !quern.state<window, 216x2>
  quern.declare_state @modes : !quern.state<recurrent, 5x2x72>
  quern.declare_state @more : !quern.state<recurrent, 5x2x72>
  quern.declare_state @past : !quern.state<window, 72x20>
  func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R101 {
    %wte = quern.weight_ref @wte : !quern.weight<101x72, "f32">
    %ln = quern.weight_ref @ln : !quern.weight<72, "f32">
    %in = quern.weight_ref @in : !quern.weight<216x72, "f32">
    %short = quern.weight_ref @short : !quern.weight<216x3, "f32">
    %bias = quern.weight_ref @bias : !quern.weight<216, "f32">
    %poles = quern.weight_ref @poles : !quern.weight<5x2x36, "f32">
    %residues = quern.weight_ref @residues : !quern.weight<5x2x36, "f32">
    %skip = quern.weight_ref @skip : !quern.weight<72, "f32">
    %wide = quern.weight_ref @wide : !quern.weight<5x2x72, "f32">
    %wider = quern.weight_ref @wider : !quern.weight<5x2x72, "f32">
    %taps = quern.weight_ref @taps : !quern.weight<72x21, "f32">
    %right = quern.weight_ref @right : !quern.weight<6x12x12, "f32">
    %left = quern.weight_ref @left : !quern.weight<12x6x6, "f32">
    %o = quern.weight_ref @o : !quern.weight<72x72, "f32">
    %lnf = quern.weight_ref @lnf : !quern.weight<72, "f32">
    %head = quern.weight_ref @head : !quern.weight<101x72, "f32">
    %window = quern.state_ref @window : !quern.state<window, 216x2>
    %modes = quern.state_ref @modes : !quern.state<recurrent, 5x2x72>
    %more = quern.state_ref @more : !quern.state<recurrent, 5x2x72>
    %past = quern.state_ref @past : !quern.state<window, 72x20>
    %x0 = quern.embedding %tokens, %wte : (!tokens, !quern.weight<101x72, "f32">) -> !T72
    %n = quern.rms_norm %x0, %ln {eps = 0.1 : f32, root_eps} : (!T72, !quern.weight<72, "f32">) -> !T72
    %projected = quern.linear %n, %in : (!T72, !quern.weight<216x72, "f32">) -> !T216
    %z = quern.causal_conv1d %projected, %batch, %window, %short, %bias : (!T216, !quern.batch, !quern.state<window, 216x2>, !quern.weight<216x3, "f32">, !quern.weight<216, "f32">) -> !T216
    %x2 = quern.slice %z {offset = 0 : i64} : !T216 -> !T72
    %g = quern.slice %z {offset = 72 : i64} : !T216 -> !T72
    %v = quern.slice %z {offset = 144 : i64} : !T216 -> !T72
    %gated = quern.binary mul %v, %g : !T72, !T72
    %y = quern.long_conv %gated, %batch, %modes, %poles, %residues, %skip : (!T72, !quern.batch, !quern.state<recurrent, 5x2x72>, !quern.weight<5x2x36, "f32">, !quern.weight<5x2x36, "f32">, !quern.weight<72, "f32">) -> !T72
    %read = quern.binary mul %y, %x2 : !T72, !T72
    %again = quern.long_conv %read, %batch, %more, %wide, %wider : (!T72, !quern.batch, !quern.state<recurrent, 5x2x72>, !quern.weight<5x2x72, "f32">, !quern.weight<5x2x72, "f32">) -> !T72
    %filtered = quern.causal_conv1d %again, %batch, %past, %taps : (!T72, !quern.batch, !quern.state<window, 72x20>, !quern.weight<72x21, "f32">) -> !T72
    %a = quern.block_linear %filtered, %right : (!T72, !quern.weight<6x12x12, "f32">) -> !T72
    %p = quern.transpose %a {groups = 6 : i64} : !T72
    %b = quern.block_linear %p, %left : (!T72, !quern.weight<12x6x6, "f32">) -> !T72
    %act = quern.unary silu %b : !T72
    %q = quern.transpose %act {groups = 12 : i64} : !T72
    %scaled = quern.binary mul %q, %skip : !T72, !quern.weight<72, "f32">
    %turned = quern.transpose %scaled {groups = 3 : i64} : !T72
    %out = quern.linear %turned, %o : (!T72, !quern.weight<72x72, "f32">) -> !T72
    %x1 = quern.binary add %x0, %out : !T72, !T72
    %last = quern.gather_rows %x1, %rows : (!T72, !rows) -> !R72
    %nf = quern.rms_norm %last, %lnf {eps = 1.0e-5 : f32} : (!R72, !quern.weight<72, "f32">) -> !R72
    %logits = quern.linear %nf, %head : (!R72, !quern.weight<101x72, "f32">) -> !R101
    return %logits : !R101
  }
}

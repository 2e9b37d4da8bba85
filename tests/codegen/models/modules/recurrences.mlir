// Every form of linear_recurrence, a layer each: what corrects the state, what it is read for, what the decay varies over, and
// heads that are wider than a worker's columns.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R64 = tensor<?x64xf32, #quern.dims<"R">>
!R101 = tensor<?x101xf32, #quern.dims<"R">>
!T1 = tensor<?x1xf32, #quern.dims<"T">>
!T3 = tensor<?x3xf32, #quern.dims<"T">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T5 = tensor<?x5xf32, #quern.dims<"T">>
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T24 = tensor<?x24xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
!T34 = tensor<?x34xf32, #quern.dims<"T">>
!T40 = tensor<?x40xf32, #quern.dims<"T">>
!T48 = tensor<?x48xf32, #quern.dims<"T">>
!T64 = tensor<?x64xf32, #quern.dims<"T">>
!T80 = tensor<?x80xf32, #quern.dims<"T">>
!T96 = tensor<?x96xf32, #quern.dims<"T">>
!T128 = tensor<?x128xf32, #quern.dims<"T">>
!T161 = tensor<?x161xf32, #quern.dims<"T">>
!T164 = tensor<?x164xf32, #quern.dims<"T">>
!T182 = tensor<?x182xf32, #quern.dims<"T">>
!T184 = tensor<?x184xf32, #quern.dims<"T">>
!T224 = tensor<?x224xf32, #quern.dims<"T">>
!T240 = tensor<?x240xf32, #quern.dims<"T">>
!T256 = tensor<?x256xf32, #quern.dims<"T">>
!T298 = tensor<?x298xf32, #quern.dims<"T">>
!T406 = tensor<?x406xf32, #quern.dims<"T">>
!T642 = tensor<?x642xf32, #quern.dims<"T">>
module attributes {quern.files = [], quern.model = {context = 256 : i64, family = "recurrences", hidden = 64 : i64, layers = 8 : i64, synthetic, vocab = 101 : i64}} {
  quern.weight @embed : !quern.weight<101x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 21 : i64, mean = 0.0 : f32, spread = 0.5 : f32}
  quern.weight @in1 : !quern.weight<298x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 22 : i64, mean = 0.0 : f32, spread = 0.15 : f32}
  quern.weight @rate1 : !quern.weight<1x5x96, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 23 : i64, mean = -1.0 : f32, spread = 0.3 : f32}
  quern.weight @out1 : !quern.weight<64x96, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 24 : i64, mean = 0.0 : f32, spread = 0.1 : f32}
  quern.weight @in2 : !quern.weight<184x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 25 : i64, mean = 0.0 : f32, spread = 0.15 : f32}
  quern.weight @out2 : !quern.weight<64x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 26 : i64, mean = 0.0 : f32, spread = 0.1 : f32}
  quern.weight @in3 : !quern.weight<224x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 27 : i64, mean = 0.0 : f32, spread = 0.15 : f32}
  quern.weight @out3 : !quern.weight<64x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 28 : i64, mean = 0.0 : f32, spread = 0.1 : f32}
  quern.weight @in4 : !quern.weight<182x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 29 : i64, mean = 0.0 : f32, spread = 0.15 : f32}
  quern.weight @bonus4 : !quern.weight<2x17, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 30 : i64, mean = 0.5 : f32, spread = 0.3 : f32}
  quern.weight @out4 : !quern.weight<64x40, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 31 : i64, mean = 0.0 : f32, spread = 0.1 : f32}
  quern.weight @in5 : !quern.weight<161x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 32 : i64, mean = 0.0 : f32, spread = 0.15 : f32}
  quern.weight @out5 : !quern.weight<64x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 33 : i64, mean = 0.0 : f32, spread = 0.1 : f32}
  quern.weight @in6 : !quern.weight<406x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 34 : i64, mean = 0.0 : f32, spread = 0.15 : f32}
  quern.weight @out6 : !quern.weight<64x80, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 35 : i64, mean = 0.0 : f32, spread = 0.1 : f32}
  quern.weight @in7 : !quern.weight<642x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 36 : i64, mean = 0.0 : f32, spread = 0.15 : f32}
  quern.weight @out7 : !quern.weight<64x256, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 37 : i64, mean = 0.0 : f32, spread = 0.1 : f32}
  quern.weight @in8 : !quern.weight<164x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 38 : i64, mean = 0.0 : f32, spread = 0.15 : f32}
  quern.weight @out8 : !quern.weight<64x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 39 : i64, mean = 0.0 : f32, spread = 0.1 : f32}
  quern.weight @head : !quern.weight<101x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 40 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
  quern.declare_state @s1 : !quern.state<recurrent, 1x5x96>
  quern.declare_state @s2 : !quern.state<recurrent, 4x12x16>
  quern.declare_state @s3 : !quern.state<recurrent, 2x16x24>
  quern.declare_state @s4 : !quern.state<recurrent, 2x17x20>
  quern.declare_state @s5 : !quern.state<recurrent, 2x8x16>
  quern.declare_state @s6 : !quern.state<recurrent, 1x3x80>
  quern.declare_state @s7 : !quern.state<recurrent, 2x1x128>
  quern.declare_state @s8 : !quern.state<recurrent, 2x8x16>
  func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R101 {
    %embed = quern.weight_ref @embed : !quern.weight<101x64, "f32">
    %x0 = quern.embedding %tokens, %embed : (!tokens, !quern.weight<101x64, "f32">) -> !T64
    // Mamba: one head, whose columns are dealt out; the decay is never materialized
    %in1 = quern.weight_ref @in1 : !quern.weight<298x64, "f32">
    %p1 = quern.linear %x0, %in1 : (!T64, !quern.weight<298x64, "f32">) -> !T298
    %r1 = quern.slice %p1 {offset = 0 : i64} : !T298 -> !T5
    %k1 = quern.slice %p1 {offset = 5 : i64} : !T298 -> !T5
    %v1 = quern.slice %p1 {offset = 10 : i64} : !T298 -> !T96
    %d1 = quern.slice %p1 {offset = 106 : i64} : !T298 -> !T96
    %z1 = quern.slice %p1 {offset = 202 : i64} : !T298 -> !T96
    %d1f = quern.unary softplus %d1 : !T96
    %s1 = quern.state_ref @s1 : !quern.state<recurrent, 1x5x96>
    %rate1 = quern.weight_ref @rate1 : !quern.weight<1x5x96, "f32">
    %y1 = quern.linear_recurrence %r1, %k1, %v1, %d1f rate %rate1, %batch, %s1 {groups = 1 : i64, decay_kind = #quern<decay_kind value>} : (!T5, !T5, !T96, !T96, !quern.weight<1x5x96, "f32">, !quern.batch, !quern.state<recurrent, 1x5x96>) -> !T96
    %g1 = quern.gated_act silu %z1, %y1 : !T96
    %n1 = quern.rms_norm %g1 {eps = 1.0e-5 : f32, group = 0 : i64} : (!T96) -> !T96
    %out1 = quern.weight_ref @out1 : !quern.weight<64x96, "f32">
    %o1 = quern.linear %n1, %out1 : (!T96, !quern.weight<64x96, "f32">) -> !T64
    %x1 = quern.binary add %o1, %x0 : !T64, !T64
    // Gated DeltaNet: two heads of values share one of keys
    %in2 = quern.weight_ref @in2 : !quern.weight<184x64, "f32">
    %p2 = quern.linear %x1, %in2 : (!T64, !quern.weight<184x64, "f32">) -> !T184
    %r2 = quern.slice %p2 {offset = 0 : i64} : !T184 -> !T24
    %k2 = quern.slice %p2 {offset = 24 : i64} : !T184 -> !T24
    %v2 = quern.slice %p2 {offset = 48 : i64} : !T184 -> !T64
    %d2 = quern.slice %p2 {offset = 112 : i64} : !T184 -> !T4
    %b2 = quern.slice %p2 {offset = 116 : i64} : !T184 -> !T4
    %z2 = quern.slice %p2 {offset = 120 : i64} : !T184 -> !T64
    %d2f = quern.unary sigmoid %d2 : !T4
    %b2f = quern.unary sigmoid %b2 : !T4
    %k2n = quern.rms_norm %k2 {eps = 1.0e-6 : f32, group = 12 : i64} : (!T24) -> !T24
    %k2ns = quern.scale %k2n {factor = 0.2887 : f32} : !T24
    %s2 = quern.state_ref @s2 : !quern.state<recurrent, 4x12x16>
    %y2 = quern.linear_recurrence %r2, %k2ns, %v2, %d2f delta %b2f, %batch, %s2 {groups = 2 : i64, decay_kind = #quern<decay_kind head>} : (!T24, !T24, !T64, !T4, !T4, !quern.batch, !quern.state<recurrent, 4x12x16>) -> !T64
    %g2 = quern.gated_act silu %z2, %y2 : !T64
    %n2 = quern.rms_norm %g2 {eps = 1.0e-5 : f32, group = 0 : i64} : (!T64) -> !T64
    %out2 = quern.weight_ref @out2 : !quern.weight<64x64, "f32">
    %o2 = quern.linear %n2, %out2 : (!T64, !quern.weight<64x64, "f32">) -> !T64
    %x2 = quern.binary add %o2, %x1 : !T64, !T64
    // RWKV-7: a correction by heads of its own
    %in3 = quern.weight_ref @in3 : !quern.weight<224x64, "f32">
    %p3 = quern.linear %x2, %in3 : (!T64, !quern.weight<224x64, "f32">) -> !T224
    %r3 = quern.slice %p3 {offset = 0 : i64} : !T224 -> !T16
    %k3 = quern.slice %p3 {offset = 16 : i64} : !T224 -> !T16
    %v3 = quern.slice %p3 {offset = 32 : i64} : !T224 -> !T48
    %d3 = quern.slice %p3 {offset = 80 : i64} : !T224 -> !T32
    %ca3 = quern.slice %p3 {offset = 112 : i64} : !T224 -> !T32
    %cb3 = quern.slice %p3 {offset = 144 : i64} : !T224 -> !T32
    %z3 = quern.slice %p3 {offset = 176 : i64} : !T224 -> !T48
    %d3f = quern.unary sigmoid %d3 : !T32
    %k3s = quern.scale %k3 {factor = 0.3000 : f32} : !T16
    %ca3s = quern.scale %ca3 {factor = 0.3000 : f32} : !T32
    %cb3s = quern.scale %cb3 {factor = 0.3000 : f32} : !T32
    %s3 = quern.state_ref @s3 : !quern.state<recurrent, 2x16x24>
    %y3 = quern.linear_recurrence %r3, %k3s, %v3, %d3f correction %ca3s, %cb3s, %batch, %s3 {groups = 1 : i64, decay_kind = #quern<decay_kind key>} : (!T16, !T16, !T48, !T32, !T32, !T32, !quern.batch, !quern.state<recurrent, 2x16x24>) -> !T48
    %g3 = quern.gated_act silu %z3, %y3 : !T48
    %n3 = quern.rms_norm %g3 {eps = 1.0e-5 : f32, group = 0 : i64} : (!T48) -> !T48
    %out3 = quern.weight_ref @out3 : !quern.weight<64x48, "f32">
    %o3 = quern.linear %n3, %out3 : (!T48, !quern.weight<64x48, "f32">) -> !T64
    %x3 = quern.binary add %o3, %x2 : !T64, !T64
    // RWKV-6: the state is read before the update; numbers that eight columns share, which heads of twenty cut
    %in4 = quern.weight_ref @in4 : !quern.weight<182x64, "f32">
    %p4 = quern.linear %x3, %in4 : (!T64, !quern.weight<182x64, "f32">) -> !T182
    %r4 = quern.slice %p4 {offset = 0 : i64} : !T182 -> !T34
    %k4 = quern.slice %p4 {offset = 34 : i64} : !T182 -> !T34
    %v4 = quern.slice %p4 {offset = 68 : i64} : !T182 -> !T40
    %h4 = quern.slice %p4 {offset = 142 : i64} : !T182 -> !T5
    %h4f = quern.unary sigmoid %h4 : !T5
    %v4h = quern.binary mul %v4, %h4f {repeat = 8 : i64} : !T40, !T5
    %d4 = quern.slice %p4 {offset = 108 : i64} : !T182 -> !T34
    %z4 = quern.slice %p4 {offset = 142 : i64} : !T182 -> !T40
    %d4f = quern.unary sigmoid %d4 : !T34
    %s4 = quern.state_ref @s4 : !quern.state<recurrent, 2x17x20>
    %bonus4 = quern.weight_ref @bonus4 : !quern.weight<2x17, "f32">
    %y4 = quern.linear_recurrence %r4, %k4, %v4h, %d4f bonus %bonus4, %batch, %s4 {groups = 2 : i64, decay_kind = #quern<decay_kind key>} : (!T34, !T34, !T40, !T34, !quern.weight<2x17, "f32">, !quern.batch, !quern.state<recurrent, 2x17x20>) -> !T40
    %g4 = quern.gated_act silu %z4, %y4 : !T40
    %n4 = quern.rms_norm %g4 {eps = 1.0e-5 : f32, group = 0 : i64} : (!T40) -> !T40
    %out4 = quern.weight_ref @out4 : !quern.weight<64x40, "f32">
    %o4 = quern.linear %n4, %out4 : (!T40, !quern.weight<64x40, "f32">) -> !T64
    %x4 = quern.binary add %o4, %x3 : !T64, !T64
    // Mamba-3: two products and two reads, a decay that heads share
    %in5 = quern.weight_ref @in5 : !quern.weight<161x64, "f32">
    %p5 = quern.linear %x4, %in5 : (!T64, !quern.weight<161x64, "f32">) -> !T161
    %r5 = quern.slice %p5 {offset = 0 : i64} : !T161 -> !T16
    %k5 = quern.slice %p5 {offset = 16 : i64} : !T161 -> !T16
    %v5 = quern.slice %p5 {offset = 32 : i64} : !T161 -> !T64
    %d5 = quern.slice %p5 {offset = 96 : i64} : !T161 -> !T1
    %z5 = quern.slice %p5 {offset = 97 : i64} : !T161 -> !T64
    %d5f = quern.unary sigmoid %d5 : !T1
    %k5s = quern.scale %k5 {factor = 0.3000 : f32} : !T16
    %s5 = quern.state_ref @s5 : !quern.state<recurrent, 2x8x16>
    %y5 = quern.linear_recurrence %r5, %k5s, %v5, %d5f, %batch, %s5 {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (!T16, !T16, !T64, !T1, !quern.batch, !quern.state<recurrent, 2x8x16>) -> !T64
    %g5 = quern.gated_act silu %z5, %y5 : !T64
    %n5 = quern.rms_norm %g5 {eps = 1.0e-5 : f32, group = 0 : i64} : (!T64) -> !T64
    %out5 = quern.weight_ref @out5 : !quern.weight<64x64, "f32">
    %o5 = quern.linear %n5, %out5 : (!T64, !quern.weight<64x64, "f32">) -> !T64
    %x5 = quern.binary add %o5, %x4 : !T64, !T64
    // a decay for each element
    %in6 = quern.weight_ref @in6 : !quern.weight<406x64, "f32">
    %p6 = quern.linear %x5, %in6 : (!T64, !quern.weight<406x64, "f32">) -> !T406
    %r6 = quern.slice %p6 {offset = 0 : i64} : !T406 -> !T3
    %k6 = quern.slice %p6 {offset = 3 : i64} : !T406 -> !T3
    %v6 = quern.slice %p6 {offset = 6 : i64} : !T406 -> !T80
    %d6 = quern.slice %p6 {offset = 86 : i64} : !T406 -> !T240
    %z6 = quern.slice %p6 {offset = 326 : i64} : !T406 -> !T80
    %d6f = quern.unary sigmoid %d6 : !T240
    %s6 = quern.state_ref @s6 : !quern.state<recurrent, 1x3x80>
    %y6 = quern.linear_recurrence %r6, %k6, %v6, %d6f, %batch, %s6 {groups = 1 : i64, decay_kind = #quern<decay_kind elementwise>} : (!T3, !T3, !T80, !T240, !quern.batch, !quern.state<recurrent, 1x3x80>) -> !T80
    %g6 = quern.gated_act silu %z6, %y6 : !T80
    %n6 = quern.rms_norm %g6 {eps = 1.0e-5 : f32, group = 0 : i64} : (!T80) -> !T80
    %out6 = quern.weight_ref @out6 : !quern.weight<64x80, "f32">
    %o6 = quern.linear %n6, %out6 : (!T80, !quern.weight<64x80, "f32">) -> !T64
    %x6 = quern.binary add %o6, %x5 : !T64, !T64
    // RG-LRU: a decay for each value, which heads share; wide heads, cut in two
    %in7 = quern.weight_ref @in7 : !quern.weight<642x64, "f32">
    %p7 = quern.linear %x6, %in7 : (!T64, !quern.weight<642x64, "f32">) -> !T642
    %r7 = quern.slice %p7 {offset = 0 : i64} : !T642 -> !T1
    %k7 = quern.slice %p7 {offset = 1 : i64} : !T642 -> !T1
    %v7 = quern.slice %p7 {offset = 2 : i64} : !T642 -> !T256
    %d7 = quern.slice %p7 {offset = 258 : i64} : !T642 -> !T128
    %z7 = quern.slice %p7 {offset = 386 : i64} : !T642 -> !T256
    %d7f = quern.unary sigmoid %d7 : !T128
    %s7 = quern.state_ref @s7 : !quern.state<recurrent, 2x1x128>
    %y7 = quern.linear_recurrence %r7, %k7, %v7, %d7f, %batch, %s7 {groups = 1 : i64, decay_kind = #quern<decay_kind value>} : (!T1, !T1, !T256, !T128, !quern.batch, !quern.state<recurrent, 2x1x128>) -> !T256
    %g7 = quern.gated_act silu %z7, %y7 : !T256
    %n7 = quern.rms_norm %g7 {eps = 1.0e-5 : f32, group = 0 : i64} : (!T256) -> !T256
    %out7 = quern.weight_ref @out7 : !quern.weight<64x256, "f32">
    %o7 = quern.linear %n7, %out7 : (!T256, !quern.weight<64x256, "f32">) -> !T64
    %x7 = quern.binary add %o7, %x6 : !T64, !T64
    // two delta products, one after the other
    %in8 = quern.weight_ref @in8 : !quern.weight<164x64, "f32">
    %p8 = quern.linear %x7, %in8 : (!T64, !quern.weight<164x64, "f32">) -> !T164
    %r8 = quern.slice %p8 {offset = 0 : i64} : !T164 -> !T16
    %k8 = quern.slice %p8 {offset = 16 : i64} : !T164 -> !T32
    %v8 = quern.slice %p8 {offset = 48 : i64} : !T164 -> !T64
    %d8 = quern.slice %p8 {offset = 112 : i64} : !T164 -> !T16
    %b8 = quern.slice %p8 {offset = 128 : i64} : !T164 -> !T4
    %z8 = quern.slice %p8 {offset = 132 : i64} : !T164 -> !T32
    %d8f = quern.unary sigmoid %d8 : !T16
    %b8f = quern.unary sigmoid %b8 : !T4
    %k8n = quern.rms_norm %k8 {eps = 1.0e-6 : f32, group = 8 : i64} : (!T32) -> !T32
    %k8ns = quern.scale %k8n {factor = 0.3536 : f32} : !T32
    %s8 = quern.state_ref @s8 : !quern.state<recurrent, 2x8x16>
    %y8 = quern.linear_recurrence %r8, %k8ns, %v8, %d8f delta %b8f, %batch, %s8 {groups = 2 : i64, decay_kind = #quern<decay_kind key>} : (!T16, !T32, !T64, !T16, !T4, !quern.batch, !quern.state<recurrent, 2x8x16>) -> !T32
    %g8 = quern.gated_act silu %z8, %y8 : !T32
    %n8 = quern.rms_norm %g8 {eps = 1.0e-5 : f32, group = 0 : i64} : (!T32) -> !T32
    %out8 = quern.weight_ref @out8 : !quern.weight<64x32, "f32">
    %o8 = quern.linear %n8, %out8 : (!T32, !quern.weight<64x32, "f32">) -> !T64
    %x8 = quern.binary add %o8, %x7 : !T64, !T64
    %head = quern.weight_ref @head : !quern.weight<101x64, "f32">
    %last = quern.gather_rows %x8, %rows : (!T64, !rows) -> !R64
    %logits = quern.linear %last, %head : (!R64, !quern.weight<101x64, "f32">) -> !R101
    return %logits : !R101
  }
}

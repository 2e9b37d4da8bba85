// Attention and rotary positions, as ONNX's ops and com.microsoft's have them.
#ifndef QUERN_FRONTENDS_ONNX_LOWERING_ATTENTION_H
#define QUERN_FRONTENDS_ONNX_LOWERING_ATTENTION_H

#include "frontends/onnx/lowering/Arrays.h"

#include <optional>

namespace quern::onnx {

/// [b, s, heads*d] as [b, heads, s, d]; what has four dimensions stays.
Array split_heads(Arrays &arrays, const Array &x, const Dim &heads);
/// And back.
Array join_heads(Arrays &arrays, const Array &x);

/// queries . keys, [b, heads, q, k], of keys with as many heads or fewer, each for neighbouring
/// heads of queries; times `scale`.
Array attention_scores(Arrays &arrays, const Array &q, const Array &k, double scale);
/// probabilities . values, [b, heads, q, d], likewise.
Array attention_values(Arrays &arrays, const Array &p, const Array &v);

struct Rotation {
  Dim heads = 0;     ///< of an x of three dimensions
  int64_t width = 0; ///< how many of a head's numbers turn; 0: all
  bool interleaved = false;
};

/// x [b, heads, s, d] or [b, s, heads*d], with cos and sin [b, s, width/2] (b may be 1).
Array rotated(Arrays &arrays, const Array &x, const Array &cos, const Array &sin,
              const Rotation &rotation);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_LOWERING_ATTENTION_H

"""Makes data/microsoft_cases.bin: nodes of com.microsoft's transformer ops, and what ONNX Runtime makes of them.

usage: make_microsoft_cases.py [FILE SEED]     needs numpy onnx onnxruntime
Of every kind of case one of each type is kept, of one size: with FILE and SEED all are, of other numbers, to be looked at now and
then. Cases that ONNX Runtime refuses on a CPU are left out, and printed.
"""
import itertools, os, sys, warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import node_cases

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
F32, F16 = np.float32, np.float16


class Maker:
    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.cases, self.refused = [], []

    def numbers(self, *shape, kind=F32, scale=1.0):
        return (self.random.standard_normal(shape) * scale).astype(kind)

    def bytes(self, *shape):
        return self.random.integers(0, 256, shape).astype(np.uint8)

    def case(self, name, op, inputs, attributes={}, outputs=("y",), constants=(), tolerance=None, domain="com.microsoft"):
        """`inputs` may hold None, `outputs` ""; those at the places `constants` become initializers."""
        names = [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)]
        node = helper.make_node(op, names, list(outputs), domain=domain, **attributes)
        kind = lambda x: helper.np_dtype_to_tensor_dtype(x.dtype)
        given = [(i, x) for i, x in enumerate(inputs) if x is not None and i not in constants]
        values = [helper.make_tensor_value_info(names[i], kind(x), x.shape) for i, x in given]
        initializers = [numpy_helper.from_array(inputs[i], names[i]) for i in constants]
        results = [helper.make_empty_tensor_value_info(o) for o in outputs if o]
        graph = helper.make_graph([node], name, values, results, initializers)
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="make_microsoft_cases")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
            got = session.run(None, {names[i]: x for i, x in given})
        except Exception as error:
            self.refused.append(f"{name}: {str(error).splitlines()[0][:160]}")
            return
        del graph.output[:], model.graph.output[:]
        for value, y in zip(results, got):
            model.graph.output.append(helper.make_tensor_value_info(value.name, kind(y), y.shape))
        half = any(x is not None and x.dtype == F16 for x in inputs)
        rtol, atol = tolerance or ((1e-3, 2e-4) if half else (1e-4, 2e-6))
        self.cases.append((name, model, [x for _, x in given], got, rtol, atol))


def norms(m):
    for kind, (rows, width) in itertools.product((F32, F16), (((2, 5), 16), ((3, 1), 37))):
        for beta, bias, more in ((0, 0, 0), (1, 0, 1), (1, 1, 0), (0, 1, 1)):
            x, skip = m.numbers(*rows, width, kind=kind), m.numbers(*rows, width, kind=kind)
            gamma, b, c = (m.numbers(width, kind=kind) for _ in range(3))
            label = f"{kind.__name__}_{width}_{beta}{bias}{more}"
            attributes = {"epsilon": 1e-5} if beta else {}
            outputs = ("y", "", "", "sum") if more else ("y",)
            m.case(f"skip_layer_norm_{label}", "SkipLayerNormalization",
                   [x, skip, gamma, b if beta else None, c if bias else None], attributes, outputs)
            if not beta:
                m.case(f"skip_rms_norm_{label}", "SkipSimplifiedLayerNormalization",
                       [x, skip, gamma, c if bias else None], {"epsilon": 1e-6}, outputs)
        skip = m.numbers(*rows[1:], width, kind=kind)
        m.case(f"skip_layer_norm_{kind.__name__}_{width}_one_skip", "SkipLayerNormalization",
               [m.numbers(*rows, width, kind=kind), skip, m.numbers(width, kind=kind)])
        m.case(f"skip_rms_norm_{kind.__name__}_{width}_batch_skip", "SkipSimplifiedLayerNormalization",
               [m.numbers(*rows, width, kind=kind), skip[None], m.numbers(width, kind=kind)])
        for axis in (-1, 1):
            shape = (*rows, width)[axis:] if axis > 0 else (width,)
            m.case(f"rms_norm_{kind.__name__}_{width}_axis{axis}", "SimplifiedLayerNormalization",
                   [m.numbers(*rows, width, kind=kind), m.numbers(*shape, kind=kind)], {"axis": axis, "epsilon": 1e-6, "stash_type": 1},
                   domain="")  # where ONNX Runtime has it


def gelus(m):
    for kind, shape in itertools.product((F32, F16), ((2, 3, 16), (5, 33))):
        label = f"{kind.__name__}_{shape[-1]}"
        x, b = m.numbers(*shape, kind=kind, scale=3), m.numbers(shape[-1], kind=kind)
        m.case(f"gelu_{label}", "Gelu", [x])
        m.case(f"bias_gelu_{label}", "BiasGelu", [x, b])
        m.case(f"fast_gelu_{label}", "FastGelu", [x])
        m.case(f"fast_gelu_bias_{label}", "FastGelu", [x, b])
        m.case(f"quick_gelu_{label}", "QuickGelu", [x])
        m.case(f"quick_gelu_alpha_{label}", "QuickGelu", [x], {"alpha": 1.0})


def rotary(m):
    for kind, interleaved, (heads, width, turned) in itertools.product((F32, F16), (0, 1), ((2, 8, 8), (3, 16, 8))):
        label = f"{kind.__name__}_{interleaved}_{heads}x{width}_{turned}"
        tables = [m.numbers(20, turned // 2, kind=kind) for _ in range(2)]
        attributes = {"interleaved": interleaved}
        if turned != width:
            attributes |= {"rotary_embedding_dim": turned, "num_heads": heads}
        x3, x4 = m.numbers(2, 5, heads * width, kind=kind), m.numbers(2, heads, 5, width, kind=kind)
        ids, start = m.random.integers(0, 20, (2, 5)), np.array([7], np.int64)
        m.case(f"rotary_3d_ids_{label}", "RotaryEmbedding", [x3, ids, *tables], attributes)
        m.case(f"rotary_3d_start_{label}", "RotaryEmbedding", [x3, start, *tables], attributes)
        m.case(f"rotary_4d_ids_{label}", "RotaryEmbedding", [x4, ids, *tables], attributes)
        m.case(f"rotary_4d_start_{label}", "RotaryEmbedding", [x4, start, *tables], attributes)
        m.case(f"rotary_num_heads_{label}", "RotaryEmbedding", [x3, ids, *tables], attributes | {"num_heads": heads})
        m.case(f"rotary_scale_{label}", "RotaryEmbedding", [x3, ids, *tables], attributes | {"scale": 0.5})


def lengths_mask(m, batch, keys):
    mask = np.ones((batch, keys), np.int32)
    mask[0, keys - 2:] = 0
    return mask


def multi_head(m):
    heads, width, value_width, b = 2, 8, 6, 2
    for kind in (F32, F16):
        for q, k, vw in ((4, 4, width), (3, 5, value_width)):
            qs, ks, vs = m.numbers(b, q, heads * width, kind=kind), m.numbers(b, k, heads * width, kind=kind), m.numbers(b, k, heads * vw, kind=kind)
            bias = m.numbers(heads * (2 * width + vw), kind=kind)
            label = f"{kind.__name__}_{q}_{k}_{vw}"
            base = {"num_heads": heads}
            m.case(f"mha_{label}", "MultiHeadAttention", [qs, ks, vs], base)
            m.case(f"mha_bias_{label}", "MultiHeadAttention", [qs, ks, vs, bias], base)
            m.case(f"mha_scale_{label}", "MultiHeadAttention", [qs, ks, vs], base | {"scale": 0.2})
            if q == k:  # of others ONNX Runtime has the last query see all keys
                m.case(f"mha_causal_{label}", "MultiHeadAttention", [qs, ks, vs], base | {"unidirectional": 1})
            m.case(f"mha_mask_2d_{label}", "MultiHeadAttention", [qs, ks, vs, None, lengths_mask(m, b, k)], base)
            m.case(f"mha_mask_filter_{label}", "MultiHeadAttention", [qs, ks, vs, bias, lengths_mask(m, b, k)], base | {"mask_filter_value": -100.0})
            m.case(f"mha_mask_lengths_{label}", "MultiHeadAttention", [qs, ks, vs, None, np.array([k, k - 2], np.int32)], base)
            m.case(f"mha_mask_ends_{label}", "MultiHeadAttention",
                   [qs, ks, vs, None, np.array([k, k - 2, 0, q, 2 * q, 0, k, 2 * k], np.int32)], base)
            three = np.repeat(lengths_mask(m, b, k)[:, None], q, 1)
            m.case(f"mha_mask_3d_{label}", "MultiHeadAttention", [qs, ks, vs, None, three], base)
            for shape in ((b, heads), (1, heads), (b, 1), (1, 1)):
                m.case(f"mha_attention_bias_{shape[0]}{shape[1]}_{label}", "MultiHeadAttention",
                       [qs, ks, vs, None, None, m.numbers(*shape, q, k, kind=kind)], base)
            m.case(f"mha_mask_and_bias_{label}", "MultiHeadAttention",
                   [qs, ks, vs, None, lengths_mask(m, b, k), m.numbers(b, heads, q, k, kind=kind)], base)
            four = [qs, m.numbers(b, heads, k, width, kind=kind), m.numbers(b, heads, k, vw, kind=kind)]
            m.case(f"mha_cross_{label}", "MultiHeadAttention", four, base)
            past = [m.numbers(b, heads, 3, width, kind=kind), m.numbers(b, heads, 3, vw, kind=kind)]
            all_outputs = ("y", "present_key", "present_value")
            m.case(f"mha_past_{label}", "MultiHeadAttention", [qs, ks, vs, None, None, None, *past], base, all_outputs)
            m.case(f"mha_past_causal_{label}", "MultiHeadAttention", [qs, ks, vs, bias, None, None, *past], base | {"unidirectional": 1}, all_outputs)
            m.case(f"mha_past_mask_{label}", "MultiHeadAttention",
                   [qs, ks, vs, None, lengths_mask(m, b, k + 3), None, *past], base, all_outputs)
            m.case(f"mha_present_{label}", "MultiHeadAttention", [qs, ks, vs], base, all_outputs)
        m.case(f"mha_packed_qkv_{kind.__name__}", "MultiHeadAttention", [m.numbers(b, 4, heads, 3, width, kind=kind)], {"num_heads": heads})
        m.case(f"mha_packed_kv_{kind.__name__}", "MultiHeadAttention",
               [m.numbers(b, 4, heads * width, kind=kind), m.numbers(b, 5, heads, 2, width, kind=kind)], {"num_heads": heads})


def packed(m):
    heads, width, inner, b, s = 2, 8, 12, 2, 4
    for kind in (F32, F16):
        for constants, sizes in (((), None), ((1, 2), None), ((1, 2), (16, 16, 12))):
            total = sum(sizes) if sizes else 3 * heads * width
            x, w, bias = m.numbers(b, s, inner, kind=kind), m.numbers(inner, total, kind=kind, scale=0.4), m.numbers(total, kind=kind)
            label = f"{kind.__name__}_{'weights' if constants else 'inputs'}_{'sizes' if sizes else 'thirds'}"
            base = {"num_heads": heads} | ({"qkv_hidden_sizes": sizes} if sizes else {})
            case = lambda name, inputs, more={}, outputs=("y",): m.case(
                f"attention_{name}_{label}", "Attention", [x, w, bias, *inputs], base | more, outputs, constants)
            case("plain", [])
            case("causal", [], {"unidirectional": 1})
            case("scale", [], {"scale": 0.2})
            case("mask_2d", [lengths_mask(m, b, s)])
            case("mask_2d_causal", [lengths_mask(m, b, s)], {"unidirectional": 1, "mask_filter_value": -500.0})
            case("mask_3d", [np.tril(np.ones((b, s, s), np.int32))])
            case("mask_4d", [np.tril(np.ones((b, 1, s, s), np.int32))], {"unidirectional": 1})
            case("mask_lengths", [np.array([s, s - 1], np.int32)])
            case("mask_ends", [np.array([s, s - 1, 0, 1], np.int32)])
            case("bias_of_scores", [None, None, m.numbers(b, heads, s, s, kind=kind)])
            case("bias_of_all", [None, None, m.numbers(1, 1, s, s, kind=kind)])
            case("mask_and_bias", [lengths_mask(m, b, s), None, m.numbers(b, heads, s, s, kind=kind)])
            case("present", [], {}, ("y", "present"))
            case("rotary", [], {"do_rotary": 1})
            if not sizes:
                past = m.numbers(2, b, heads, 3, width, kind=kind)
                case("past", [None, past], {}, ("y", "present"))
                case("past_causal", [None, past], {"unidirectional": 1}, ("y", "present"))
                case("past_mask", [lengths_mask(m, b, s + 3), past], {"unidirectional": 1}, ("y", "present"))
                case("past_bias", [None, past, m.numbers(b, heads, s, s + 3, kind=kind)], {"unidirectional": 1}, ("y", "present"))
        m.case(f"attention_no_bias_{kind.__name__}", "Attention",
               [m.numbers(b, s, inner, kind=kind), m.numbers(inner, 48, kind=kind)], {"num_heads": heads})


def embedding(m):
    for kind in (F32, F16):
        words, places, segments = m.numbers(30, 16, kind=kind), m.numbers(12, 16, kind=kind), m.numbers(2, 16, kind=kind)
        gamma, beta = m.numbers(16, kind=kind), m.numbers(16, kind=kind)
        ids, kinds = m.random.integers(0, 30, (2, 7)).astype(np.int32), m.random.integers(0, 2, (2, 7)).astype(np.int32)
        mask = np.array([[1] * 7, [1] * 4 + [0] * 3], np.int32)
        where = m.random.integers(0, 12, (2, 7)).astype(np.int32)
        label = kind.__name__
        m.case(f"embed_{label}", "EmbedLayerNormalization", [ids, kinds, words, places, segments, gamma, beta], {}, ("y", "index"))
        m.case(f"embed_mask_{label}", "EmbedLayerNormalization", [ids, kinds, words, places, segments, gamma, beta, mask], {"epsilon": 1e-5}, ("y", "index", "sum"))
        m.case(f"embed_no_segments_{label}", "EmbedLayerNormalization", [ids, None, words, places, None, gamma, beta, mask], {}, ("y", "index"))
        m.case(f"embed_positions_{label}", "EmbedLayerNormalization", [ids, kinds, words, places, segments, gamma, beta, None, where], {}, ("y", "index", "sum"))
        m.case(f"embed_position_row_{label}", "EmbedLayerNormalization", [ids, kinds, words, places, segments, gamma, beta, None, where[:1]], {}, ("y", "index"))
        m.case(f"embed_mask_type_{label}", "EmbedLayerNormalization", [ids, kinds, words, places, segments, gamma, beta, mask], {"mask_index_type": 0}, ("y", ""))


def nbits(m):
    for kind, bits, block, (inputs, outputs) in itertools.product((F32, F16), (2, 4, 8), (16, 32), ((64, 8), (48, 5))):
        if bits != 4 and (block == 16 or kind == F16):
            continue
        blocks = -(-inputs // block)
        codes, scales = m.bytes(outputs, blocks, block * bits // 8), m.numbers(outputs, blocks, kind=kind, scale=0.1)
        zeros, bias = m.bytes(outputs, -(-blocks * bits // 8)), m.numbers(outputs, kind=kind)
        attributes = {"K": inputs, "N": outputs, "bits": bits, "block_size": block}
        label = f"{kind.__name__}_{bits}bits_{block}_{inputs}x{outputs}"
        rows = m.numbers(2, 3, inputs, kind=kind)
        tolerance = (1e-3, 1e-4) if kind == F32 else (4e-3, 1e-2)
        case = lambda name, more, x=rows, more_attributes={}, constants=(1, 2): m.case(
            f"nbits_{name}_{label}", "MatMulNBits", [x, codes, scales, *more], attributes | more_attributes, constants=constants, tolerance=tolerance)
        case("plain", [])
        case("inputs", [], constants=())
        case("zeros", [zeros], constants=(1, 2, 3))
        case("bias", [zeros, None, bias], constants=(1, 2, 3, 5))
        case("float_zeros", [m.numbers(outputs, blocks, kind=kind, scale=2)], constants=(1, 2, 3))
        case("flat_scales", [], constants=(1, 2))
        case("one_row", [], x=rows[0, :1])
        if block == 16:
            case("g_idx", [None, (np.arange(inputs) // block).astype(np.int32)], constants=(1, 2, 4))


def grouped(m):
    b, s, heads, kv, width = 1, 4, 4, 2, 8
    q, k, v = m.numbers(b, s, heads * width), m.numbers(b, s, kv * width), m.numbers(b, s, kv * width)
    last, total = np.full((b,), s - 1, np.int32), np.array(s, np.int32)
    m.case("gqa", "GroupQueryAttention", [q, k, v, m.numbers(b, kv, 0, width), m.numbers(b, kv, 0, width), last, total],
           {"num_heads": heads, "kv_num_heads": kv}, ("y", "present_key", "present_value"))


def one_of_each(cases):
    kinds = {}
    for case in cases:
        kinds.setdefault((case[0].split("_float")[0], "float16" in case[0]), []).append(case)
    return [those[i % len(those)] for i, those in enumerate(kinds.values())]


def main(path=None, seed="0"):
    m = Maker(int(seed))
    for make in (norms, gelus, rotary, multi_head, packed, embedding, nbits, grouped):
        make(m)
    node_cases.write(path or os.path.join(HERE, "microsoft_cases.bin"), m.cases if path else one_of_each(m.cases))
    print(*m.refused, sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

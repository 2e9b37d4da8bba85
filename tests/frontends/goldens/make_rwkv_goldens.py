"""Writes the goldens of RWKV-5, 6 and 7 beside it: tiny models and their logits by the `rwkv` package on the CPU in float32, or
around the naive recurrences of flash-linear-attention for its own names.

usage: make_rwkv_goldens.py        needs: torch, einops, rwkv, fla-core (PyTorch alone: no kernel of either is used)

The form is make_goldens.py's. The package knows one set of tensor names, `blocks.0.att.key.weight`; Hugging Face's published models
of RWKV-5 and 6 have other names for the same tensors. Goldens in names/ are models of the same kind under other names.
"""
import importlib
import importlib.util
import os
import re
import tempfile

os.environ.update(RWKV_JIT_ON="0", RWKV_CUDA_ON="0")
import numpy as np
import torch
from torch.nn import functional as F

from make_goldens import generate, write_goldens
import rwkv.model

VOCAB, HIDDEN, LAYERS, HEADS, MLP, RANK = 23, 24, 3, 3, 40, 5
HEAD = HIDDEN // HEADS
TOKENS = [3 + (7 * i + i * i) % 20 for i in range(13)]


def names_of_norms(*modules):
    return {f"{module}.{part}": [HIDDEN] for module in modules for part in ("weight", "bias")}


def shapes_of_package(version):
    """Of each tensor by the package's name."""
    c, d = HIDDEN, RANK
    shapes = {"emb.weight": [VOCAB, c], "head.weight": [VOCAB, c]} | names_of_norms("blocks.0.ln0", "ln_out")
    for i in range(LAYERS):
        block, att, ffn = f"blocks.{i}.", f"blocks.{i}.att.", f"blocks.{i}.ffn."
        shapes |= names_of_norms(block + "ln1", block + "ln2", att + "ln_x")
        vector, keys = [1, 1, c], ["receptance", "key", "value", "output"] + ["gate"] * (version < 7)
        shapes |= {f"{att}{name}.weight": [c, c] for name in keys}
        shapes |= {ffn + "key.weight": [MLP, c], ffn + "value.weight": [c, MLP]}
        if version < 7:
            mix = "time_mix_" if version == 5 else "time_maa_"
            shapes |= {ffn + "receptance.weight": [c, c], att + "time_faaaa": [HEADS, HEAD]}
            shapes |= {f"{att}{mix}{name}": vector for name in ("rkvg" if version == 5 else "xwkvrg")}
            shapes |= {f"{ffn}{mix}{name}": vector for name in "kr"}
            shapes[att + "time_decay"] = [HEADS, HEAD] if version == 5 else vector
        if version == 6:
            shapes |= {att + "time_maa_w1": [c, 5 * d], att + "time_maa_w2": [5, d, c], att + "time_decay_w1": [c, d + 1],
                       att + "time_decay_w2": [d + 1, c]}
        if version == 7:
            shapes |= {f"{att}x_{name}": vector for name in "rwkvag"} | {att + "k_k": vector, att + "k_a": vector}
            shapes |= {att + "r_k": [HEADS, HEAD], ffn + "x_k": vector}
            for k, name in enumerate("wavg"):  # the first layer's of v are not used
                shapes |= {f"{att}{name}1": [c, d + k], f"{att}{name}2": [d + k, c]}
                if name != "g":
                    shapes[f"{att}{name}0"] = vector
    return shapes


def statistics(name, shape):
    """Mean and spread, strong enough for every part to show in the logits."""
    last = name.split(".")[-1]
    if last in ("w0", "time_decay", "k_k", "k_a", "r_k", "time_faaaa", "bonus"):
        return dict(w0=(-1.0, 1.0), time_decay=(-1.0, 0.5), k_k=(0.85, 0.2), k_a=(1.0, 0.3), r_k=(0.0, 0.4)).get(last, (0.0, 0.5))
    if name.endswith("w_lora.lora.2.bias") or name.endswith("w_proj.linear.lora.2.bias"):
        return -1.0, 0.7
    if last == "bias" or re.fullmatch("[av]0", last):
        return 0.0, 0.3
    if last in ("mu", "x_bias") or len([n for n in shape if n != 1]) == 1:
        return (0.5, 0.3) if re.search(r"time_m|\.x_|mu$", name) else (1.0, 0.2)
    inputs = shape[-1]
    if re.fullmatch(r"[wavg][12]|time_maa_w[12]|time_decay_w[12]", last):
        inputs = shape[-2]
    return 0.0, round(1.5 / float(np.sqrt(inputs)), 4)


def made_up(shapes):
    tensors, values = {}, {}
    for name, shape in shapes.items():
        mean, spread = statistics(name, shape)
        tensors[name] = dict(shape=shape, mean=mean, spread=spread)
        values[name] = torch.from_numpy(generate(name, int(np.prod(shape)), mean, spread).reshape(shape))
    return tensors, values


def by_package(version, values, rescale=0):
    # What the package is, is decided as it is loaded.
    os.environ.update(RWKV_RESCALE_LAYER=str(rescale), RWKV_V7_ON="1" if version == 7 else "0")
    package = importlib.reload(rwkv.model)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model")
        torch.save({name: value.clone() for name, value in values.items()}, path + ".pth")
        model = package.RWKV(path, "cpu fp32")
        return model.forward(list(TOKENS), None, full_output=True)[0]


def hf_name(name, version):
    """The package's name in the published models of RWKV-5 and 6."""
    words = {"r": "receptance", "k": "key", "v": "value", "g": "gate"}
    name = re.sub(r"time_mix_(.)$", lambda m: "time_mix_" + words[m[1]], name)
    name = name.replace("emb.", "rwkv.embeddings.").replace("ln_out", "rwkv.ln_out").replace("blocks.0.ln0", "blocks.0.pre_ln")
    name = name.replace(".att.", ".attention.").replace(".ffn.", ".feed_forward.")
    return "rwkv." + name if name.startswith("blocks") else name


def published(version):
    """A published model's config, with its names; the stream is halved after every second layer."""
    shapes = {hf_name(name, version): shape for name, shape in shapes_of_package(version).items()}
    tensors, values = made_up(shapes)
    back = {hf_name(name, version): name for name in shapes_of_package(version)}
    config = dict(model_type=f"rwkv{version}", vocab_size=VOCAB, hidden_size=HIDDEN, num_hidden_layers=LAYERS, attention_hidden_size=HIDDEN,
                  head_size=HEAD, head_size_divisor=8, intermediate_size=MLP, layer_norm_epsilon=1e-5, rescale_every=2,
                  num_attention_heads=HEAD, tie_word_embeddings=False, use_cache=True, bos_token_id=0, eos_token_id=0,
                  model_version="5_2" if version == 5 else "6_0")
    return config, tensors, by_package(version, {back[name]: value for name, value in values.items()}, rescale=2)


def packaged(version):
    tensors, values = made_up(shapes_of_package(version))
    return dict(model_type=f"rwkv{version}"), tensors, by_package(version, values)


# flash-linear-attention's models, in float64 but for its recurrences.
def naive(path):
    root = importlib.util.find_spec("fla").submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location("naive", os.path.join(root, "ops", path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Fla:
    def __init__(self, shapes, eps):
        self.eps = eps
        self.tensors, values = made_up(shapes)
        self.values = {name: value.double() for name, value in values.items()}

    def norm(self, module, x):
        return F.layer_norm(x, x.shape[-1:], self.values[module + ".weight"], self.values[module + ".bias"], self.eps)

    def linear(self, module, x):
        return x @ self.values[module + ".weight"].T

    def lora(self, module, x, act, bias=True):
        y = self.linear(module + ".lora.2", act(self.linear(module + ".lora.0", x)))
        return y + self.values[module + ".lora.2.bias"] if bias else y

    def group_norm(self, module, x, eps):
        return F.group_norm(x, HEADS, self.values[module + ".weight"], self.values[module + ".bias"], eps)

    def shift(self, x):
        return torch.cat([torch.zeros_like(x[:1]), x[:-1]]) - x

    def logits(self, attention, mlp):
        x = self.norm("model.layers.0.pre_norm", self.values["model.embeddings.weight"][TOKENS])
        for i in range(LAYERS):
            layer = f"model.layers.{i}."
            x = x + attention(i, layer + "attn.", self.norm(layer + "attn_norm", x))
            x = x + mlp(layer + "ffn.", self.norm(layer + "ffn_norm", x))
        return self.linear("lm_head", self.norm("model.norm", x))


def heads(x, width):
    return x.view(len(TOKENS), HEADS, width).transpose(0, 1)[None].float()  # [1, H, T, D]


def fla_shapes(layer):
    shapes = {"model.embeddings.weight": [VOCAB, HIDDEN], "lm_head.weight": [VOCAB, HIDDEN]}
    shapes |= names_of_norms("model.layers.0.pre_norm", "model.norm")
    for i in range(LAYERS):
        name = f"model.layers.{i}."
        shapes |= names_of_norms(name + "attn_norm", name + "ffn_norm") | layer(i, name + "attn.", name + "ffn.")
    return shapes


def fla7():
    """Values are twice as wide as keys, and norms' eps is large enough to show."""
    c, v, eps = HIDDEN, 2 * HIDDEN, 1e-3
    ranks = dict(w=5, a=6, v=7, g=8)

    def layer(i, attn, ffn):
        shapes = {f"{attn}x_{name}": [1, 1, c] for name in "rwkvag"} | {attn + "k_k": [c], attn + "k_a": [c], ffn + "x_k": [c]}
        shapes |= {attn + "r_k": [HEADS, HEAD], attn + "o_proj.weight": [c, v], attn + "v_proj.weight": [v, c]}
        shapes |= {attn + "r_proj.weight": [c, c], attn + "k_proj.weight": [c, c]}
        shapes |= {attn + "g_norm.weight": [v], attn + "g_norm.bias": [v]}
        for name, rank in ranks.items():
            if name == "v" and i == 0:
                continue
            out = v if name in "vg" else c
            shapes |= {f"{attn}{name}_lora.lora.0.weight": [rank, c], f"{attn}{name}_lora.lora.2.weight": [out, rank]}
            if name != "g":
                shapes[f"{attn}{name}_lora.lora.2.bias"] = [out]
        return shapes | {ffn + "key.weight": [MLP, c], ffn + "value.weight": [c, MLP]}

    model = Fla(fla_shapes(layer), eps)
    w, kept = model.values, {}
    recurrence = naive("generalized_delta_rule/dplr/naive.py").dplr_recurrence

    def attention(i, attn, x):
        delta = model.shift(x)
        xr, xw, xk, xv, xa, xg = (x + delta * w[f"{attn}x_{name}"].view(-1) for name in "rwkvag")
        r, k, v = (model.linear(f"{attn}{name}_proj", y) for name, y in (("r", xr), ("k", xk), ("v", xv)))
        decay = -0.6065306597126334 * model.lora(attn + "w_lora", xw, torch.tanh).sigmoid()
        same = lambda y: y
        if i == 0:
            kept["v"] = v
        else:
            v = torch.lerp(v, kept["v"], model.lora(attn + "v_lora", xv, same).sigmoid())
        a = model.lora(attn + "a_lora", xa, same).sigmoid()
        g = model.lora(attn + "g_lora", xg, torch.sigmoid, bias=False)
        kk = (k * w[attn + "k_k"]).view(-1, HEADS, HEAD)
        kk = (kk / (kk.square().sum(-1, keepdim=True) + 1e-6).sqrt()).flatten(1)
        k = k * (1 + (a - 1) * w[attn + "k_a"])
        o, _ = recurrence(heads(r, HEAD) * HEAD ** 0.5, heads(k, HEAD), heads(v, 2 * HEAD), heads(-kk, HEAD), heads(kk * a, HEAD),
                          heads(decay, HEAD))
        o = model.group_norm(attn + "g_norm", o[0].transpose(0, 1).flatten(1).double(), HEAD * eps)
        own = (r * k).view(-1, HEADS, HEAD).mul(w[attn + "r_k"]).sum(-1, keepdim=True) * v.view(-1, HEADS, 2 * HEAD)
        return model.linear(attn + "o_proj", (o + own.flatten(1)) * g)

    def mlp(ffn, x):
        return model.linear(ffn + "value", F.relu(model.linear(ffn + "key", x + model.shift(x) * w[ffn + "x_k"])) ** 2)

    config = dict(model_type="rwkv7", architectures=["RWKV7ForCausalLM"], vocab_size=VOCAB, hidden_size=HIDDEN, num_hidden_layers=LAYERS,
                  head_dim=HEAD, num_heads=HEADS, hidden_ratio=4, intermediate_size=MLP, decay_low_rank_dim=5, a_low_rank_dim=6,
                  v_low_rank_dim=7, gate_low_rank_dim=8, value_dim=[v] * LAYERS, norm_eps=eps, norm_first=True, norm_bias=True,
                  attn_mode="chunk", attn=None, hidden_act="sqrelu", max_position_embeddings=2048, fuse_norm=True, use_l2warp=True,
                  fuse_linear_cross_entropy=False, tie_word_embeddings=False)
    return config, model.tensors, model.logits(attention, mlp)


def fla6():
    """Keys are half as wide as values."""
    c, k_width, eps = HIDDEN, HIDDEN // 2, 1e-3
    key = k_width // HEADS

    def layer(i, attn, ffn):
        shapes = {attn + "x_proj.0.mu": [c], attn + "x_proj.0.linear.weight": [20, c], attn + "x_proj.2.weight": [c, 20],
                  attn + "x_bias": [5, c], attn + "bonus": [HEADS, key], attn + "o_proj.weight": [c, c]}
        shapes |= {f"{attn}{name}_proj.linear.weight": [k_width if name in "rk" else c, c] for name in "rkvg"}
        shapes |= {attn + "w_proj.linear.lora.0.weight": [6, c], attn + "w_proj.linear.lora.2.weight": [k_width, 6],
                   attn + "w_proj.linear.lora.2.bias": [k_width]} | names_of_norms(attn + "g_norm")
        for name, out in (("key", MLP), ("receptance", c)):
            shapes |= {f"{ffn}{name}.linear.weight": [out, c], f"{ffn}{name}.mu": [c]}
        return shapes | {ffn + "value.weight": [c, MLP]}

    model = Fla(fla_shapes(layer), eps)
    w = model.values
    recurrence = naive("rwkv6/recurrent_naive.py").naive_recurrent_rwkv6

    def attention(i, attn, x):
        delta = model.shift(x)
        latent = torch.tanh(model.linear(attn + "x_proj.0.linear", x + delta * w[attn + "x_proj.0.mu"])).view(-1, 5, 4)
        mixes = torch.einsum("tnr,hnr->tnh", latent, w[attn + "x_proj.2.weight"].view(c, 5, 4)) + w[attn + "x_bias"]
        xr, xw, xk, xv, xg = (x + delta * mixes[:, n] for n in range(5))
        r, k, v, g = (model.linear(f"{attn}{name}_proj.linear", y) for name, y in (("r", xr), ("k", xk), ("v", xv), ("g", xg)))
        decay = -torch.exp(model.lora(attn + "w_proj.linear", xw, torch.tanh))
        o, _ = recurrence(heads(r, key), heads(k, key), heads(v, HEAD), heads(decay, key), w[attn + "bonus"].float(), scale=1.0)
        o = model.group_norm(attn + "g_norm", o[0].transpose(0, 1).flatten(1).double(), eps)
        return model.linear(attn + "o_proj", o * F.silu(g))

    def mlp(ffn, x):
        delta = model.shift(x)
        y = F.relu(model.linear(ffn + "key.linear", x + delta * w[ffn + "key.mu"])) ** 2
        r = model.linear(ffn + "receptance.linear", x + delta * w[ffn + "receptance.mu"])
        return r.sigmoid() * model.linear(ffn + "value", y)

    config = dict(model_type="rwkv6", architectures=["RWKV6ForCausalLM"], vocab_size=VOCAB, hidden_size=HIDDEN, num_hidden_layers=LAYERS,
                  num_heads=HEADS, expand_k=0.5, expand_v=1.0, hidden_ratio=3.5, intermediate_size=MLP, proj_low_rank_dim=4,
                  gate_low_rank_dim=6, norm_eps=eps, norm_first=True, norm_bias=True, attn_mode="chunk", attn=None,
                  hidden_act="sqrelu", max_position_embeddings=2048, fuse_norm=True, use_l2warp=False, fuse_linear_cross_entropy=False,
                  tie_word_embeddings=False)
    return config, model.tensors, model.logits(attention, mlp)


CASES = {
    "rwkv5": lambda: published(5),
    "rwkv6": lambda: published(6),
    "rwkv7": fla7,
    "names/rwkv5-package": lambda: packaged(5),
    "names/rwkv6-package": lambda: packaged(6),
    "names/rwkv6-fla": fla6,
    "names/rwkv7-package": lambda: packaged(7),
}


def golden(make):
    config, tensors, logits = make()
    return dict(config=config, tensors=tensors, tokens=TOKENS,
                logits=[[float(f"{x:.9g}") for x in row] for row in logits.double().tolist()])


if __name__ == "__main__":
    write_goldens(CASES, golden)

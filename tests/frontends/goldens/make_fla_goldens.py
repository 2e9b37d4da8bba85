"""Writes the goldens of flash-linear-attention's models beside it: as make_goldens.py does of transformers'.

usage: make_fla_goldens.py [name ...]        needs: what make_goldens.py needs, and
                                             pip install --no-deps -r fla_requirements.txt

The models are fla's own, and so are the kernels, which Triton's interpreter runs on the CPU in float32: errors of some 1e-6 of
the logits' deviation. The test allows 1e-4. What fla asks other packages for is written out here: attention with a softmax, and
Mamba-3's recurrences (the package mamba_ssm), which rotate neighbours where there is one rank, and halves where there are more.
"""
import json
import math
import os

os.environ["TRITON_INTERPRET"] = "1"

import torch
import triton.runtime.autotuner

from make_goldens import generate, statistics, write_goldens

# There is no device to measure on: the first of a kernel's configurations is as good as any.
triton.runtime.autotuner.Autotuner._bench = lambda self, *args, **kwargs: 1.0

import fla.layers.attn
import fla.layers.mamba3
import fla.models  # noqa: F401  (registers the classes)
from transformers import AutoConfig, AutoModelForCausalLM

FLA = dict(vocab_size=23, hidden_size=24, intermediate_size=40, num_hidden_layers=2, pad_token_id=0)
ATTENTION = dict(layers=[1], num_heads=4, num_kv_heads=2, window_size=4, rope_theta=500.0, qkv_bias=True)
DELTA = dict(FLA, num_heads=2, head_dim=8)

CASES = {
    "gated_deltanet": dict(DELTA, model_type="gated_deltanet", num_v_heads=4, expand_v=1.5, attn=ATTENTION, num_hidden_layers=3),
    "gated_deltanet-bare": dict(DELTA, model_type="gated_deltanet", expand_v=1.0, use_gate=False, use_short_conv=False,
                                allow_neg_eigval=True, tie_word_embeddings=True, intermediate_size=None, hidden_ratio=3),
    "delta_net": dict(FLA, model_type="delta_net", num_heads=3, use_gate=True, conv_size=3),
    "delta_net-sums": dict(FLA, model_type="delta_net", num_heads=3, expand_k=0.5, expand_v=1.5, qk_norm="sum", qk_activation="elu",
                           use_beta=False, attn=[ATTENTION, dict(layers=[0], num_heads=3)], num_hidden_layers=3),
    "kda": dict(DELTA, model_type="kda", num_v_heads=4, expand_v=1.5),
    "kda-bounded": dict(DELTA, model_type="kda", safe_gate=True, lower_bound=-2.0, use_short_conv=False, allow_neg_eigval=True),
    "gla": dict(FLA, model_type="gla", num_heads=4),
    "gla-shared": dict(FLA, model_type="gla", num_heads=4, num_kv_heads=2, expand_k=1.0, clamp_min=-0.03, use_short_conv=True,
                       feature_map="relu", elementwise_affine=False, fuse_norm=False),
    "retnet": dict(FLA, model_type="retnet", num_heads=2, num_kv_heads=1, feature_map="swish"),
    "hgrn2": dict(FLA, model_type="hgrn2", expand_ratio=8, num_hidden_layers=3),
    "hgrn2-convolved": dict(FLA, model_type="hgrn2", num_heads=2, expand_ratio=None, use_short_conv=True, attn=ATTENTION,
                            num_hidden_layers=3),
    "hgrn": dict(FLA, model_type="hgrn", num_hidden_layers=3, expand_ratio=2, use_short_conv=True),
    "linear_attn": dict(FLA, model_type="linear_attn", num_heads=4, num_kv_heads=2),
    "linear_attn-normalized": dict(FLA, model_type="linear_attn", num_heads=4, feature_map="elu", norm_q=True, norm_k=True,
                                   norm_feature_map=True),
    "samba": dict({k: v for k, v in FLA.items() if k != "intermediate_size"}, model_type="samba", state_size=5, use_bias=True,
                  num_hidden_layers=3, hidden_ratio=2, attn=dict(ATTENTION, layers=[1])),
    "transformer": dict(FLA, model_type="transformer", num_heads=4, num_kv_heads=2, qk_norm=True, window_size=5),
}

CASES |= {"mamba2-fla": dict(model_type="mamba2", vocab_size=23, hidden_size=24, num_hidden_layers=2, state_size=10, head_dim=8,
                             norm_before_gate=True, norm_eps=0.01)}  # of more groups, what fla runs without a device is not what its kernels do
MAMBA3 = dict(model_type="mamba3", vocab_size=23, hidden_size=24, num_hidden_layers=2, head_dim=8, state_size=12)
CASES |= {
    "mamba3": dict(MAMBA3, n_groups=2, use_bias=True, A_floor=0.4),
    "mamba3-ranks": dict(MAMBA3, is_mimo=True, mimo_rank=2, rope_fraction=1.0, tie_word_embeddings=True),
    "mamba_ssm-3": dict(MAMBA3, authors=True, is_outproj_norm=True, tie_word_embeddings=True),
    "mamba3-ranks-normed": dict(MAMBA3, is_mimo=True, mimo_rank=3, n_groups=3, is_outproj_norm=True),
}


def softmax_attention(q, k, v, causal, window_size):
    """flash_attn_func: rows are tokens, then heads."""
    assert causal
    share = q.shape[2] // k.shape[2]
    k, v = (x.repeat_interleave(share, 2) for x in (k, v))
    scores = torch.einsum("bihd,bjhd->bhij", q, k) * q.shape[-1] ** -0.5
    behind = torch.arange(q.shape[1])[:, None] - torch.arange(k.shape[1])
    seen = (behind >= 0) & ((behind <= window_size[0]) | (window_size[0] < 0))
    return torch.einsum("bhij,bjhd->bihd", scores.masked_fill(~seen, -torch.inf).softmax(-1), v)


fla.layers.attn.flash_attn_func = softmax_attention


def rotate(x, angles, adjacent):
    """Pairs of x's last dimension by angles, as many as there are; the rest stays."""
    n, half = angles.shape[-1], x.shape[-1] // 2
    one = 2 * torch.arange(n) if adjacent else torch.arange(n)
    other = one + (1 if adjacent else half)
    y = x.clone()
    y[..., one] = x[..., one] * angles.cos() - x[..., other] * angles.sin()
    y[..., other] = x[..., one] * angles.sin() + x[..., other] * angles.cos()
    return y


def trapezoid(Q, K, V, ADT, DT, Trap, Q_bias, K_bias, Angles, D, Z, adjacent, MIMO_V=None, MIMO_Z=None, MIMO_Out=None):
    """By ranks: Q and K [batch, token, rank, group, number], biases and weights [head, rank, number]; a token at a time."""
    heads = V.shape[2]
    Q, K = (x.double().repeat_interleave(heads // x.shape[3], 3).transpose(2, 3) for x in (Q, K))
    v = V.double()[:, :, :, None] * (1 if MIMO_V is None else MIMO_V)
    turned = (Angles.double().tanh() * math.pi * DT.transpose(1, 2)[..., None]).cumsum(1)[:, :, :, None]
    q, k = rotate(Q + Q_bias, turned, adjacent), rotate(K + K_bias, turned, adjacent)
    share, alpha = Trap.double().sigmoid(), ADT.double().exp()
    state, before, out = torch.zeros(()), torch.zeros(()), []
    for t in range(V.shape[1]):
        now = torch.einsum("bhrn,bhrp->bhnp", k[:, t], v[:, t])
        older, newer = (1 - share[..., t]) * DT[..., t] * alpha[..., t], share[..., t] * DT[..., t]
        state = alpha[..., t, None, None] * state + older[..., None, None] * before + newer[..., None, None] * now
        out.append(torch.einsum("bhrn,bhnp->bhrp", q[:, t], state) + D[:, None, None] * v[:, t])
        before = now
    y = torch.stack(out, 1)
    if Z is not None:
        y = y * torch.nn.functional.silu(Z.double()[:, :, :, None] * (1 if MIMO_Z is None else MIMO_Z))
    if MIMO_V is None:
        return y[:, :, :, 0].float()
    return (y.transpose(2, 3) if MIMO_Out is None else torch.einsum("bthrp,hrp->bthp", y, MIMO_Out.double())).float()


def one_rank(Q, K, V, ADT, DT, Trap, Q_bias, K_bias, Angles, D, Z, **_):
    return trapezoid(Q[:, :, None], K[:, :, None], V, ADT, DT, Trap, Q_bias[:, None], K_bias[:, None], Angles, D, Z, True)


def ranks(Q, K, V, ADT, DT, Trap, Q_bias, K_bias, Angles, D, Z, MIMO_V, MIMO_Z, MIMO_Out, **_):
    return trapezoid(Q, K, V, ADT, DT, Trap, Q_bias, K_bias, Angles, D, Z, False, MIMO_V, MIMO_Z, MIMO_Out)


fla.layers.mamba3.mamba3_siso_combined = one_rank
fla.layers.mamba3.mamba3_mimo_combined = ranks
# Which asks for a device.
fla.layers.mamba3.Mamba3.forward = lambda self, hidden_states, **_: (self.cuda_kernels_forward(hidden_states)[0], None, None)


SPECIAL = dict(lower_bounds=(0.0, 1.0), B_bias=(1.0, 0.3), C_bias=(1.0, 0.3), mimo_x=(0.5, 0.3), mimo_z=(1.0, 0.3),
               mimo_o=(0.5, 0.3))


def in_authors_words(config):
    """mamba_ssm's config.json of a Mamba-3."""
    names = dict(d_state="state_size", expand="expand", headdim="head_dim", ngroups="n_groups", rope_fraction="rope_fraction",
                 A_floor="A_floor", is_outproj_norm="is_outproj_norm", is_mimo="is_mimo", mimo_rank="mimo_rank")
    return dict(d_model=config["hidden_size"], d_intermediate=0, n_layer=config["num_hidden_layers"], vocab_size=config["vocab_size"],
                ssm_cfg=dict(layer="Mamba3") | {own: config[name] for own, name in names.items()}, attn_layer_idx=[], attn_cfg={},
                rms_norm=True, residual_in_fp32=True, fused_add_norm=True, pad_vocab_size_multiple=1, tie_embeddings=True)


def golden(config):
    settings = dict(config)
    authors = settings.pop("authors", False)
    cfg = AutoConfig.for_model(settings.pop("model_type"), **settings)
    model = AutoModelForCausalLM.from_config(cfg, dtype=torch.float32).eval()
    tensors = {}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            name = name.replace("embeddings", "embedding") if authors else name
            mean, spread = SPECIAL.get(name.split(".")[-1]) or statistics(name, parameter.shape)
            values = generate(name, parameter.numel(), mean, spread).reshape(parameter.shape)
            parameter.copy_(torch.from_numpy(values))
            tensors[name] = dict(shape=list(parameter.shape), mean=mean, spread=spread)
        tokens = [3 + (7 * i + i * i) % 20 for i in range(13)]
        logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].double().numpy()
    written = json.loads(cfg.to_json_string())
    written["architectures"] = [type(model).__name__]
    # A missing expand_ratio is the class's, null is none.
    kept = {k: v for k, v in written.items() if v is not None or k == "expand_ratio"}
    kept = in_authors_words(kept) if authors else kept
    return dict(config=kept, tensors=tensors, tokens=tokens, logits=[[float(f"{x:.9g}") for x in row] for row in logits])


if __name__ == "__main__":
    write_goldens(CASES, golden)

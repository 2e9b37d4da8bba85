"""Writes the goldens of StripedHyena beside it, as make_goldens.py does those of transformers' families.

usage: make_stripedhyena_goldens.py        needs: torch, einops, stripedhyena 0.2.2 (pip install --no-deps stripedhyena)

The logits are those of the package's parallel forward on the CPU: in float64, but for its long convolutions, which are FFTs in
float32 and leave 1e-6 of the logits' deviation. (Its prefill_style "recurrence" computes something else: the imaginary part
of a state from the real part after the token, and Re(R) Re(s) for Re(R s).)
flash_attn, which the package takes attention and a norm from, runs on GPUs alone; what stands for it here is causal attention
as its documentation describes it, and the norm of its name.
"""
import sys
import types

import torch
import torch.nn as nn

from make_goldens import generate, statistics, write_goldens



class RotaryEmbedding(nn.Module):
    """Cosines and sines of position * base^(-2i/dim), which the package's interpolated kind computes itself."""

    def __init__(self, dim, base=10000.0, interleaved=False, scale_base=None, pos_idx_in_fp32=True, device=None):
        super().__init__()
        self.dim, self.base, self.interleaved, self.scale_base, self.scale = dim, base, interleaved, scale_base, None
        self.pos_idx_in_fp32 = pos_idx_in_fp32
        self.register_buffer("inv_freq", base ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim))
        self._seq_len_cached, self._cos_cached, self._sin_cached = 0, None, None

    def _compute_inv_freq(self, device=None):
        return self.inv_freq

    def _update_cos_sin_cache(self, seqlen, device=None, dtype=None):
        angles = torch.outer(torch.arange(seqlen, dtype=torch.float64), self.inv_freq.double())
        self._cos_cached, self._sin_cached = angles.cos(), angles.sin()

    def forward(self, x):  # [L, heads, dim]
        self._update_cos_sin_cache(x.shape[0], x.device, x.dtype)
        cos, sin = self._cos_cached[:, None].to(x.dtype), self._sin_cached[:, None].to(x.dtype)
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


class MHA(nn.Module):
    def __init__(self, embed_dim, num_heads, num_heads_kv, rotary_emb_dim, qkv_proj_bias, rotary_emb_base, causal, layer_idx,
                 out_proj_bias, use_flash_attn):
        super().__init__()
        assert causal
        self.cross_attn = False
        self.num_heads, self.num_heads_kv, self.head_dim = num_heads, num_heads_kv, embed_dim // num_heads
        self.Wqkv = nn.Linear(embed_dim, (num_heads + 2 * num_heads_kv) * self.head_dim, bias=qkv_proj_bias)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=out_proj_bias)
        self.rotary_emb = RotaryEmbedding(rotary_emb_dim, base=rotary_emb_base)

    def forward(self, x, inference_params=None):
        sizes = [self.num_heads, self.num_heads_kv, self.num_heads_kv]
        q, k, v = self.Wqkv(x[0]).unflatten(-1, (-1, self.head_dim)).split(sizes, -2)
        q, k = self.rotary_emb(q), self.rotary_emb(k)
        k, v = (t.repeat_interleave(self.num_heads // self.num_heads_kv, 1) for t in (k, v))
        y = nn.functional.scaled_dot_product_attention(*(t.transpose(0, 1)[None] for t in (q, k, v)), is_causal=True)
        return self.out_proj(y[0].transpose(0, 1).flatten(-2))[None]


def rms_norm(x, weight, eps):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight


for place, what in {"": {}, ".modules": {}, ".modules.mha": dict(MHA=MHA), ".layers": {}, ".ops": {}, ".ops.rms_norm": dict(rms_norm=rms_norm),
                    ".layers.rotary": dict(RotaryEmbedding=RotaryEmbedding)}.items():
    sys.modules["flash_attn" + place] = module = types.ModuleType("flash_attn" + place)
    vars(module).update(what)

from stripedhyena.model import StripedHyena  # noqa: E402
from stripedhyena.utils import dotdict  # noqa: E402

# As the published config.json of StripedHyena-Hessian-7B, in small; with the package's own norm, as Evo has it.
PUBLISHED = dict(vocab_size=23, hidden_size=24, num_filters=24, inner_mlp_size=40, attn_layer_idxs=[1], hyena_layer_idxs=[0, 2, 3],
                 num_layers=3, tie_embeddings=False, short_filter_length=3, num_attention_heads=6, proj_groups=3,
                 hyena_filter_groups=1, split_k0=True, column_split_hyena=True, column_split=False, model_parallel_size=1,
                 pipe_parallel_size=1, short_filter_bias=True, mha_out_proj_bias=False, qkv_proj_bias=False, final_norm=True,
                 use_cache=True, use_flash_attention_2=True, use_flash_rmsnorm=False, use_flash_depthwise=False,
                 use_flashfft=False, inference_mode=False, prefill_style="fft", max_seqlen=64, eps=1e-5, state_size=2,
                 rotary_emb_base=500000, smeared_gqa=False, make_vocab_size_divisible_by=8, log_intermediate_values=False)
# Evo's: what its configs leave out is the package's default.
EVO = dict(vocab_size=23, hidden_size=24, num_filters=24, max_seqlen=64, attn_layer_idxs=[2], hyena_layer_idxs=[0, 1], num_layers=3,
           short_filter_length=3, num_attention_heads=3, short_filter_bias=True, mlp_init_method="torch.nn.init.zeros_", eps=0.05,
           state_size=5, inner_size_multiple_of=16, hyena_filter_groups=1, model_parallel_size=1, tie_embeddings=True,
           inner_mlp_size=None, column_split=True, prefill_style="fft", mlp_activation="gelu", use_flashfft=False,
           use_interpolated_rotary_pos_emb=True, rotary_emb_scaling_factor=16)
CASES = {
    "stripedhyena": PUBLISHED,
    "stripedhyena-evo": EVO,
    # Channels share filters, and are not split by heads; the norm is flash_attn's.
    "stripedhyena-groups": dict(PUBLISHED, hidden_size=16, num_filters=4, num_attention_heads=4, proj_groups=1, hyena_filter_groups=4,
                                column_split_hyena=False, attn_layer_idxs=[], hyena_layer_idxs=[0, 1], num_layers=2,
                                short_filter_length=4, state_size=3, use_flash_rmsnorm=True, eps=0.05),
}

def shape_of_memory(name, shape):
    """Poles inside the circle, of memories of some tokens; the rest as in other models."""
    last = name.split(".")[-1]
    special = dict(poles=(0.3, 0.2), residues=(0.0, 0.6), short_filter_bias=(0.0, 0.3), short_filter_weight=(0.3, 0.7))
    return special.get(last) or statistics(name, shape)


def golden(config):
    types_of = dict.fromkeys(("attn_block_dtype", "mlp_dtype", "hyena_block_dtype", "params_dtype"), torch.float32)
    model = StripedHyena(dotdict(dict(config, use_flash_attn=False, **types_of))).double().eval()
    tensors = {}
    with torch.no_grad():
        for tensor, parameter in model.named_parameters():
            tensor = "backbone." + tensor
            mean, spread = shape_of_memory(tensor, parameter.shape)
            values = generate(tensor, parameter.numel(), mean, spread).reshape(parameter.shape)
            parameter.copy_(torch.from_numpy(values))
            tensors[tensor] = dict(shape=list(parameter.shape), mean=mean, spread=spread)
        tokens = [3 + (7 * i + i * i) % 20 for i in range(13)]
        logits = model(torch.tensor([tokens]))[0][0].double().numpy()
    written = dict(config, model_type="stripedhyena", architectures=["StripedHyenaModelForCausalLM"], torch_dtype="bfloat16")
    return dict(config=written, tensors=tensors, tokens=tokens,
                logits=[[float(f"{x:.9g}") for x in row] for row in logits])


if __name__ == "__main__":
    write_goldens(CASES, golden)

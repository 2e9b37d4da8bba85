"""Trains models of a million weights, one a kind of mixer, for kld.py: no published model of these kinds comes in a
package, and what int4 does to weights that were never trained says nothing.

usage: tiny_models.py DIR [NAME ...] [--steps N]    needs: torch, transformers, tokenizers

Each becomes a folder DIR/NAME as Hugging Face writes it. The text is the sources of Python's standard library, byte by byte; every
tenth file is left out, and DIR/held.txt is of those. All models see the same batches. Single-threaded, so that two runs on one
machine agree. 300 steps take a core half a minute (transformer) to two minutes (mamba2), mamba a quarter of an hour; attention
learns later than recurrences do, and needs 1200 to know as much.
"""
import argparse
import glob
import json
import math
import os
import sysconfig
import time

import torch
import transformers as t
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from torch.nn import functional as F

VOCAB, HIDDEN, BATCH, LENGTH = 257, 128, 8, 64


class Lora(nn.Module):
    def __init__(self, rank, act, bias=True):
        super().__init__()
        self.lora = nn.Sequential(nn.Linear(HIDDEN, rank, bias=False), act, nn.Linear(rank, HIDDEN, bias=bias))

    def forward(self, x):
        return self.lora(x)


def shifted(x):
    return F.pad(x, (0, 0, 1, -1)) - x


class Rwkv7Attention(nn.Module):
    def __init__(self, first, head):
        super().__init__()
        self.head, self.first = head, first
        for name in "rwkvag":
            self.register_parameter(f"x_{name}", nn.Parameter(torch.linspace(0, 1, HIDDEN).view(1, 1, -1).clone()))
        self.k_k = nn.Parameter(torch.full([HIDDEN], 0.85))
        self.k_a = nn.Parameter(torch.ones(HIDDEN))
        self.r_k = nn.Parameter(torch.zeros(HIDDEN // head, head))
        for name in "rkvo":
            setattr(self, f"{name}_proj", nn.Linear(HIDDEN, HIDDEN, bias=False))
        self.w_lora, self.a_lora = Lora(32, nn.Tanh()), Lora(32, nn.Identity())
        self.g_lora = Lora(64, nn.Sigmoid(), bias=False)
        if not first:
            self.v_lora = Lora(32, nn.Identity())
        self.g_norm = nn.GroupNorm(HIDDEN // head, HIDDEN, eps=head * 1e-5)
        with torch.no_grad():
            self.w_lora.lora[2].bias.copy_(torch.linspace(-6, 1, HIDDEN))

    def forward(self, x, first_values):
        delta = shifted(x)
        xr, xw, xk, xv, xa, xg = (x + delta * getattr(self, f"x_{name}") for name in "rwkvag")
        r, k, v = self.r_proj(xr), self.k_proj(xk), self.v_proj(xv)
        decay = torch.exp(-0.6065306597126334 * self.w_lora(xw).sigmoid())
        if not self.first:
            v = torch.lerp(v, first_values, self.v_lora(xv).sigmoid())
        a = self.a_lora(xa).sigmoid()
        heads = lambda y: y.unflatten(-1, (-1, self.head))
        kk = heads(k * self.k_k)
        kk = kk / (kk.square().sum(-1, keepdim=True) + 1e-6).sqrt()
        k = k * (1 + (a - 1) * self.k_a)
        steps = [heads(y).unbind(1) for y in (r, k, v, decay)] + [(-kk).unbind(1), (kk * heads(a)).unbind(1)]
        state, out = 0, []
        for rt, kt, vt, wt, at, bt in zip(*steps):
            update = kt[..., None] * vt[..., None, :]
            if out:
                update = update + state * wt[..., None] + bt[..., None] * (at[..., None, :] @ state)
            state = update
            out.append((rt[..., None, :] @ state).squeeze(-2))
        o = torch.stack(out, 1).flatten(2)
        o = self.g_norm(o.flatten(0, 1)).view_as(x)
        o = o + ((heads(r) * heads(k) * self.r_k).sum(-1, keepdim=True) * heads(v)).flatten(2)
        return self.o_proj(o * self.g_lora(xg)), v


class Rwkv7Mlp(nn.Module):
    def __init__(self, wide):
        super().__init__()
        self.x_k = nn.Parameter(torch.linspace(0, 1, HIDDEN).clone())
        self.key, self.value = nn.Linear(HIDDEN, wide, bias=False), nn.Linear(wide, HIDDEN, bias=False)

    def forward(self, x):
        return self.value(F.relu(self.key(x + shifted(x) * self.x_k)) ** 2)


class Rwkv7(nn.Module):
    """RWKV-7 under flash-linear-attention's names, whose own needs a GPU."""

    def __init__(self, layers=4, head=32, wide=4 * HIDDEN):
        super().__init__()
        self.settings = dict(
            model_type="rwkv7", architectures=["RWKV7ForCausalLM"], vocab_size=VOCAB, hidden_size=HIDDEN, num_hidden_layers=layers,
            head_dim=head, intermediate_size=wide, decay_low_rank_dim=32, a_low_rank_dim=32, v_low_rank_dim=32, gate_low_rank_dim=64,
            norm_eps=1e-5, hidden_act="sqrelu", fuse_norm=True, tie_word_embeddings=False, max_position_embeddings=2048)
        self.model = nn.Module()
        self.model.embeddings = nn.Embedding(VOCAB, HIDDEN)
        self.model.layers = nn.ModuleList()
        for i in range(layers):
            layer = nn.Module()
            if i == 0:
                layer.pre_norm = nn.LayerNorm(HIDDEN)
            layer.attn_norm, layer.ffn_norm = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
            layer.attn, layer.ffn = Rwkv7Attention(i == 0, head), Rwkv7Mlp(wide)
            self.model.layers.append(layer)
        self.model.norm = nn.LayerNorm(HIDDEN)
        self.lm_head = nn.Linear(HIDDEN, VOCAB, bias=False)
        with torch.no_grad():
            self.model.embeddings.weight.mul_(0.02)

    def forward(self, input_ids, **_):
        x = self.model.layers[0].pre_norm(self.model.embeddings(input_ids))
        first_values = None
        for layer in self.model.layers:
            y, values = layer.attn(layer.attn_norm(x), first_values)
            first_values = values if first_values is None else first_values
            x = x + y
            x = x + layer.ffn(layer.ffn_norm(x))
        return t.modeling_outputs.CausalLMOutput(logits=self.lm_head(self.model.norm(x)))

    def save_pretrained(self, path):
        os.makedirs(path, exist_ok=True)
        save_file(self.state_dict(), os.path.join(path, "model.safetensors"))
        with open(os.path.join(path, "config.json"), "w") as file:
            json.dump(self.settings, file, indent=1)


def of_config(make, **settings):
    return lambda: t.AutoModelForCausalLM.from_config(
        make(vocab_size=VOCAB, hidden_size=HIDDEN, tie_word_embeddings=True, initializer_range=0.02, bos_token_id=0, eos_token_id=0, pad_token_id=0, **settings))


ATTENTION = dict(num_attention_heads=4, num_key_value_heads=2, head_dim=32, max_position_embeddings=2048)
DELTA = dict(linear_num_key_heads=4, linear_num_value_heads=4, linear_key_head_dim=32, linear_value_head_dim=32)
EXPERTS = dict(num_experts=8, num_experts_per_tok=2, moe_intermediate_size=64)
MODELS = {
    "transformer": of_config(t.LlamaConfig, intermediate_size=352, num_hidden_layers=5, **ATTENTION),
    "mamba": of_config(t.MambaConfig, num_hidden_layers=8),
    # The chunks of transformers' own code take memory with their square; they are no part of the model.
    "mamba2": of_config(t.Mamba2Config, num_hidden_layers=8, num_heads=8, head_dim=32, state_size=32, n_groups=1, chunk_size=16),
    "rwkv7": Rwkv7,
    "delta_hybrid": of_config(t.Qwen3_5TextConfig, intermediate_size=256, num_hidden_layers=6, layer_types=(["linear_attention"] * 2 + ["full_attention"]) * 2,
                              **ATTENTION, **DELTA),
    "moe": of_config(t.Qwen3MoeConfig, intermediate_size=256, num_hidden_layers=4, norm_topk_prob=True, router_aux_loss_coef=0.01,
                     output_router_logits=False, **ATTENTION, **EXPERTS),
}


def load(path):
    with open(os.path.join(path, "config.json")) as file:
        if json.load(file)["model_type"] != "rwkv7":
            return t.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    model = Rwkv7()
    model.load_state_dict(load_file(os.path.join(path, "model.safetensors")))
    return model.eval()


def texts():
    files = sorted(glob.glob(os.path.join(sysconfig.get_path("stdlib"), "**", "*.py"), recursive=True))
    files = [name for name in files if "-packages" not in name and "/test/" not in name]
    read = lambda name: open(name, encoding="utf-8", errors="replace").read()
    return "".join(read(f) for i, f in enumerate(files) if i % 10), "".join(read(f) for f in files[::10])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir")
    parser.add_argument("names", nargs="*", default=list(MODELS))
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    torch.set_num_threads(1)
    os.makedirs(args.dir, exist_ok=True)
    seen, held = texts()
    with open(os.path.join(args.dir, "held.txt"), "w", encoding="utf-8") as file:
        file.write(held[20000:56000])
    # Bytes: a vocabulary without merges.
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator([seen[:100_000]], trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=["<eos>"], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    pieces = [seen[i:i + 100_000] for i in range(0, min(len(seen), 8_000_000), 100_000)]
    data = torch.tensor([i for piece in tokenizer.encode_batch(pieces) for i in piece.ids])
    for name in args.names:
        torch.manual_seed(0)
        model = MODELS[name]()
        print(f"{name}: {sum(p.numel() for p in model.parameters()) / 1e6:.2f} million weights, {len(data)} tokens", flush=True)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1, betas=(0.9, 0.95), weight_decay=0.05)
        draws, begun = torch.Generator().manual_seed(1), time.time()
        for step in range(args.steps):
            for group in optimizer.param_groups:
                group["lr"] = 3e-3 * min(1, (step + 1) / 30) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / args.steps)))
            at = torch.randint(0, len(data) - LENGTH - 1, (BATCH,), generator=draws)
            ids = torch.stack([data[i:i + LENGTH + 1] for i in at.tolist()])
            logits = model(input_ids=ids[:, :-1], use_cache=False).logits
            loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            if step % 25 == 0 or step + 1 == args.steps:
                print(f"{name} {step}: {loss.item():.3f}, {time.time() - begun:.0f} s", flush=True)
        folder = os.path.join(args.dir, name)
        model.save_pretrained(folder)
        tokenizer.save(os.path.join(folder, "tokenizer.json"))


if __name__ == "__main__":
    main()

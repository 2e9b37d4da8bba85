"""Writes the goldens in encoders/: tiny encoders of every family, and what transformers gives for sequences, in float64.

usage: make_encoder_goldens.py        needs: torch, transformers, safetensors

As make_goldens.py says, but for `sequences`, `types` (of each token, where they are not all 0) and `rows`: one of each
sequence, the mean of its last hidden states or, of classes for sequence classification, its logits.
"""
import json

import numpy as np
import torch
from make_goldens import generate, statistics, write_goldens
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

BERT = dict(vocab_size=23, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=32, pad_token_id=0)
ROBERTA = dict(BERT, max_position_embeddings=34, pad_token_id=1, type_vocab_size=1)
DISTIL = dict(model_type="distilbert", vocab_size=23, dim=24, hidden_dim=40, n_layers=2, n_heads=4, max_position_embeddings=32)
MODERN = dict(BERT, model_type="modernbert", num_hidden_layers=3, global_attn_every_n_layers=2, local_attention=8,
              bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2)
GEMMA = dict(model_type="gemma3_text", vocab_size=23, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
             num_attention_heads=6, num_key_value_heads=2, head_dim=8, max_position_embeddings=32, sliding_window=8,
             layer_types=["sliding_attention", "full_attention"], query_pre_attn_scalar=8, use_bidirectional_attention=True)
# Decoders of which vectors are made: causal, and a window of the query and seven keys before it.
QWEN = dict(model_type="qwen3", vocab_size=23, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=6,
            num_key_value_heads=2, head_dim=8, max_position_embeddings=32)
MISTRAL = dict(QWEN, model_type="mistral", sliding_window=8)

# The second element says whether the class scores sequences.
CASES = {
    "bert": (dict(BERT, model_type="bert"), False),
    "bert-scores": (dict(BERT, model_type="bert", num_labels=3, hidden_act="gelu_new"), True),
    "roberta": (dict(ROBERTA, model_type="roberta"), False),
    "roberta-scores": (dict(ROBERTA, model_type="roberta", num_labels=1), True),
    "xlm-roberta": (dict(ROBERTA, model_type="xlm-roberta"), False),
    "distilbert": (DISTIL, False),
    "distilbert-scores": (dict(DISTIL, num_labels=4), True),
    "electra": (dict(BERT, model_type="electra", embedding_size=24), False),
    "electra-narrow": (dict(BERT, model_type="electra", embedding_size=12), False),
    "electra-scores": (dict(BERT, model_type="electra", embedding_size=12), True),
    "mpnet": (dict(BERT, model_type="mpnet", max_position_embeddings=34, pad_token_id=1), False),
    "mpnet-scores": (dict(BERT, model_type="mpnet", max_position_embeddings=34, pad_token_id=1), True),
    "modernbert": (MODERN, False),
    "modernbert-bias": (dict(MODERN, norm_bias=True, attention_bias=True, mlp_bias=True), False),
    "modernbert-scores": (dict(MODERN, classifier_pooling="mean"), True),
    "nomic_bert": (dict(BERT, model_type="nomic_bert"), False),
    "qwen3": (QWEN, False),
    "mistral": (MISTRAL, False),
    "gemma3_text": (GEMMA, False),
    "gemma3_text-scaled": (dict(GEMMA, query_pre_attn_scalar=5, sliding_window=5), False),
}
# Of nomic_bert, whose tensors have other names in files.
NOMIC = [("layers.", "encoder.layers."), ("embeddings.LayerNorm", "emb_ln"), ("self_attn.o_proj", "attn.out_proj"),
         ("up_proj", "fc11"), ("gate_proj", "fc12"), ("down_proj", "fc2"), ("post_attention_layernorm", "norm1"),
         ("post_mlp_layernorm", "norm2")]


def fused(parameters):
    """q, k and v as the files have them, in one."""
    out = {}
    for name, parameter in parameters.items():
        for old, new in NOMIC:
            name = name.replace(old, new)
        if ".self_attn.q_proj." in name:
            parts = [parameters[name.replace("encoder.", "").replace("q_proj", x)] for x in ("q_proj", "k_proj", "v_proj")]
            out[name.replace("self_attn.q_proj", "attn.Wqkv")] = parts
        elif ".self_attn." not in name:
            out[name] = [parameter]
    return out


def golden(config, scores):
    settings = dict(config)
    causal = settings["model_type"] in ("qwen3", "mistral")
    cfg = AutoConfig.for_model(settings.pop("model_type"), **settings)
    auto = AutoModelForSequenceClassification if scores else AutoModel
    model = auto.from_config(cfg, dtype=torch.float32, attn_implementation="eager").eval()
    parameters = dict(model.named_parameters())
    parameters = fused(parameters) if cfg.model_type == "nomic_bert" else {k: [v] for k, v in parameters.items()}
    tensors = {}
    with torch.no_grad():
        for name, parts in parameters.items():
            shape = list(parts[0].shape)
            shape[0] *= len(parts)
            mean, spread = statistics(name, shape)
            values = generate(name, int(np.prod(shape)), mean, spread).reshape(shape)
            for part, value in zip(parts, np.split(values, len(parts))):
                part.copy_(torch.from_numpy(value))
            tensors[name] = dict(shape=shape, mean=mean, spread=spread)
    model = model.double()
    sequences = [[3 + (7 * i + i * i + 5 * s) % 20 for i in range(n)] for s, n in enumerate((13, 1, 27))]
    typed = getattr(cfg, "type_vocab_size", 1) > 1 and cfg.model_type in ("bert", "electra", "nomic_bert")
    types = [[int(typed and i > 2 * len(s) // 3) for i in range(len(s))] for s in sequences]
    rows = []
    for sequence, kind in zip(sequences, types):
        more = dict(token_type_ids=torch.tensor([kind])) if typed else {}
        with torch.no_grad():
            out = model(input_ids=torch.tensor([sequence]), **more)
        rows.append((out.logits[0] if scores else out.last_hidden_state[0].mean(0)).numpy())
    written = json.loads(cfg.to_json_string())
    written["architectures"] = [type(model).__name__]
    kept = {k: v for k, v in written.items() if v is not None}
    return dict(config=kept, **(dict(causal=True) if causal else {}), tensors=tensors, sequences=sequences, types=types,
                rows=[[float(f"{x:.9g}") for x in row] for row in rows])


if __name__ == "__main__":
    write_goldens({f"encoders/{name}": case for name, case in CASES.items()}, lambda case: golden(*case))

"""Exports tiny random models by both of torch's exporters, runs them in Quern and in ONNX Runtime and prints a table.

usage: compare_models.py [--keep FOLDER] [--jobs N] [NAME ...]
Needs torch, transformers, onnx, onnxscript and onnxruntime; QUERN_BIN is the folder of quern and quern-run (default: build/bin).
An error is the largest difference, in standard deviations of what ONNX Runtime gives, or in thousandths of its largest number
where they are more (boxes of a random model are all 0.5). It exits with 1 where Quern refuses a model or is off by more than 1e-3.
"""
import argparse
import contextlib
import io
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
for key, value in dict(TRANSFORMERS_VERBOSITY="error", HF_HUB_OFFLINE="1", TQDM_DISABLE="1").items():
    os.environ.setdefault(key, value)

import numpy as np
import torch
import transformers
from transformers import AutoConfig, AutoModel

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
BIN = os.environ.get("QUERN_BIN", os.path.join(ROOT, "build", "bin"))
SEED = int(os.environ.get("SEED", "1"))

WIDTH = dict(hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=80)
TEXT = dict(WIDTH, vocab_size=211, max_position_embeddings=96)
IMAGE = dict(WIDTH, image_size=32, patch_size=8)
SOUND = dict(WIDTH, vocab_size=32, conv_dim=(16, 16), conv_stride=(5, 2), conv_kernel=(10, 3), num_feat_extract_layers=2,
             num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4)
RESNET = dict(embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic")
DETR = dict(d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48,
            decoder_ffn_dim=48, num_queries=7, num_labels=5)


def backbone(kind="resnet"):
    return AutoConfig.for_model(kind, **RESNET, out_features=["stage2", "stage3", "stage4"] if kind == "rt_detr_resnet" else ["stage4"])


# What a model is given: text (ids and a mask), image, sound, or what the entry itself says.
TEXTS = {
    "bert": TEXT, "roberta": TEXT, "xlm-roberta": TEXT, "xlm-roberta-xl": TEXT, "camembert": TEXT, "mpnet": TEXT, "electra": dict(TEXT, embedding_size=32),
    "distilbert": dict(vocab_size=211, dim=48, n_layers=2, n_heads=4, hidden_dim=80, max_position_embeddings=96),
    "modernbert": dict(TEXT, global_attn_every_n_layers=2, local_attention=16, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2),
    "albert": dict(TEXT, embedding_size=32), "squeezebert": dict(TEXT, embedding_size=48), "deberta": dict(TEXT, relative_attention=True, pos_att_type=["c2p", "p2c"]),
    "mobilebert": dict(TEXT, embedding_size=32, intra_bottleneck_size=24, true_hidden_size=24),
    "deberta-v2": dict(TEXT, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=16, share_att_key=True, norm_rel_ebd="layer_norm"),
    "roformer": dict(TEXT, embedding_size=48), "ernie": TEXT, "rembert": dict(TEXT, input_embedding_size=32), "convbert": dict(TEXT, embedding_size=32),
    "megatron-bert": TEXT, "data2vec-text": TEXT, "esm": dict(TEXT, position_embedding_type="rotary", pad_token_id=1, mask_token_id=2),
    "fnet": TEXT, "nystromformer": dict(TEXT, num_landmarks=8, segment_means_seq_len=64), "ibert": TEXT, "splinter": TEXT, "big_bird": dict(TEXT, attention_type="original_full"),
    "funnel": dict(vocab_size=211, d_model=48, n_head=4, d_head=12, d_inner=80, block_sizes=[1, 1], num_decoder_layers=1),
    "longformer": dict(TEXT, attention_window=8), "layoutlm": TEXT, "nomic_bert": dict(TEXT), "jina_embeddings_v3": dict(TEXT), "eurobert": dict(TEXT, num_key_value_heads=2),
    "clip_text_model": TEXT, "siglip_text_model": TEXT, "t5": dict(vocab_size=211, d_model=48, d_kv=12, d_ff=80, num_layers=2, num_heads=4),
    "mt5": dict(vocab_size=211, d_model=48, d_kv=12, d_ff=80, num_layers=2, num_heads=4), "xlnet": dict(vocab_size=211, d_model=48, n_layer=2, n_head=4, d_inner=80),
    "gemma3_text": dict(TEXT, num_key_value_heads=2, head_dim=12, use_bidirectional_attention=True, sliding_window=8, layer_types=["sliding_attention", "full_attention"], query_pre_attn_scalar=12),
    "xlm": dict(vocab_size=211, emb_dim=48, n_layers=2, n_heads=4, max_position_embeddings=96), "flaubert": dict(vocab_size=211, emb_dim=48, n_layers=2, n_heads=4, max_position_embeddings=96),
    "t5gemma": dict(encoder=dict(TEXT, num_key_value_heads=2, head_dim=12, query_pre_attn_scalar=12, sliding_window=8), decoder=dict(TEXT, num_key_value_heads=2, head_dim=12)),
}
IMAGES = {
    "vit": IMAGE, "deit": IMAGE, "beit": IMAGE, "dinov2": IMAGE, "dinov2_with_registers": IMAGE, "vit_mae": IMAGE, "clip_vision_model": IMAGE, "siglip_vision_model": IMAGE,
    "siglip2_vision_model": IMAGE, "ijepa": IMAGE, "vit_msn": IMAGE,
    "yolos": dict(WIDTH, image_size=[32, 32], patch_size=8, num_detection_tokens=5),
    "swin": dict(image_size=32, patch_size=4, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4),
    "swinv2": dict(image_size=32, patch_size=4, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4),
    "convnext": dict(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]), "convnextv2": dict(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]),
    "resnet": RESNET, "regnet": dict(embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], groups_width=8), "mobilenet_v1": dict(depth_multiplier=0.25),
    "mobilenet_v2": dict(depth_multiplier=0.25), "efficientnet": dict(width_coefficient=0.25, depth_coefficient=0.25, hidden_dim=64, image_size=32),
    "segformer": dict(depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32], num_attention_heads=[1, 2, 2, 4], decoder_hidden_size=16),
    "mobilevit": dict(image_size=32, hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 24, 24, 32]), "poolformer": dict(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]),
    "levit": dict(image_size=64, hidden_sizes=[16, 24, 32], num_attention_heads=[2, 2, 2], depths=[1, 1, 1], key_dim=[8, 8, 8]), "cvt": dict(embed_dim=[8, 16, 24], num_heads=[1, 2, 2], depth=[1, 1, 1]),
    "pvt": dict(image_size=32, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 4]), "dpt": dict(IMAGE, image_size=32, patch_size=8, is_hybrid=False, backbone_out_indices=[0, 0, 1, 1], neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=16),
}
SOUNDS = {"wav2vec2": SOUND, "hubert": SOUND, "wavlm": SOUND, "data2vec-audio": dict(SOUND, num_conv_pos_embeddings=2, conv_pos_kernel_size=3), "unispeech": SOUND, "sew": dict(SOUND, squeeze_factor=2)}
HEADS = {"detr": dict(DETR, use_timm_backbone=False), "conditional_detr": dict(DETR, use_timm_backbone=False),
         "rt_detr": dict(d_model=32, encoder_hidden_dim=32, encoder_in_channels=[16, 24, 32], decoder_in_channels=[32, 32, 32], encoder_layers=1, decoder_layers=1, encoder_attention_heads=4,
                         decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, num_queries=7, num_labels=5, anchor_image_size=None)}
OTHERS = ["whisper", "audio-spectrogram-transformer", "cnn", "segformer-head", "clip", "sentence"]


class First(torch.nn.Module):
    """A model called by the names of what it is given, of whose outputs the wanted ones count."""

    def __init__(self, model, names, wanted=("last_hidden_state",), **fixed):
        super().__init__()
        self.model, self.names, self.wanted, self.fixed = model, names, wanted, fixed

    def forward(self, *inputs):
        out = self.model(**dict(zip(self.names, inputs)), **self.fixed)
        return tuple(getattr(out, name) for name in self.wanted)


def eager(cls, config):
    try:
        return cls.from_config(config, attn_implementation="eager") if hasattr(cls, "from_config") else cls._from_config(config, attn_implementation="eager")
    except ValueError:
        return cls.from_config(config) if hasattr(cls, "from_config") else cls._from_config(config)


def text_feed(random, batch, tokens, names):
    feed = {"input_ids": random.integers(3, 200, (batch, tokens)).astype(np.int64)}
    if "attention_mask" in names:
        feed["attention_mask"] = np.ones((batch, tokens), np.int64)
        feed["attention_mask"][0, tokens - tokens // 3:] = 0
    if "bbox" in names:
        feed["bbox"] = np.sort(random.integers(0, 90, (batch, tokens, 4)), axis=-1).astype(np.int64)[..., [0, 1, 2, 3]]
    return feed


def model_of(name):
    """The module, names of its inputs, what makes them by sizes, the dynamic dimensions, and the sizes."""
    random = np.random.default_rng(SEED)
    normal = lambda *shape: random.standard_normal(shape).astype(np.float32)
    if name in TEXTS:
        names = ["input_ids"] + ([] if name in ("fnet",) else ["attention_mask"]) + (["bbox"] if name == "layoutlm" else [])
        config = AutoConfig.for_model(name, **TEXTS[name])
        cls = dict(t5=transformers.T5EncoderModel, mt5=transformers.MT5EncoderModel, t5gemma=getattr(transformers, "T5GemmaEncoderModel", None),
                   clip_text_model=transformers.CLIPTextModel, siglip_text_model=transformers.SiglipTextModel).get(name, AutoModel)
        if name == "t5gemma":
            config.is_encoder_decoder = False
        fixed = dict(use_cache=False) if name == "gemma3_text" else {}
        dims = {0: "batch", 1: "sequence"}
        sizes = [(2, 12), (1, 5), (3, 33)] if name != "longformer" else [(2, 16), (1, 8), (3, 32)]
        return First(eager(cls, config).eval(), names, **fixed), names, lambda b, t: text_feed(random, b, t, names), {n: dims for n in names}, sizes
    if name in IMAGES:
        config = AutoConfig.for_model(name, **IMAGES[name])
        cls = dict(clip_vision_model=transformers.CLIPVisionModel, siglip_vision_model=transformers.SiglipVisionModel).get(name, AutoModel)
        size = 64 if name in ("levit", "mobilenet_v1", "mobilenet_v2", "efficientnet", "segformer", "convnext", "convnextv2", "resnet", "regnet", "poolformer", "cvt") else 32
        return First(eager(cls, config).eval(), ["pixel_values"]), ["pixel_values"], lambda b, _: dict(pixel_values=normal(b, 3, size, size)), {"pixel_values": {0: "batch"}}, [(2, 0), (1, 0), (5, 0)]
    if name in SOUNDS:
        config = AutoConfig.for_model(name, **SOUNDS[name])
        return (First(eager(AutoModel, config).eval(), ["input_values"]), ["input_values"], lambda b, t: dict(input_values=normal(b, t)),
                {"input_values": {0: "batch", 1: "samples"}}, [(2, 400), (1, 333), (3, 500)])
    if name in HEADS:
        config = AutoConfig.for_model(name, **HEADS[name], backbone_config=backbone("rt_detr_resnet" if name == "rt_detr" else "resnet"))
        cls = dict(detr=transformers.DetrForObjectDetection, conditional_detr=transformers.ConditionalDetrForObjectDetection, rt_detr=transformers.RTDetrForObjectDetection)[name]
        return (First(eager(cls, config).eval(), ["pixel_values"], ("logits", "pred_boxes")), ["pixel_values"], lambda b, _: dict(pixel_values=normal(b, 3, 64, 96)),
                {"pixel_values": {0: "batch"}}, [(2, 0), (1, 0)])
    if name == "whisper":
        config = AutoConfig.for_model(name, d_model=48, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=80, decoder_layers=1, decoder_attention_heads=4, decoder_ffn_dim=80,
                                      vocab_size=211, max_source_positions=40, num_mel_bins=16, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1)
        encoder = transformers.WhisperModel._from_config(config, attn_implementation="eager").eval().get_encoder()
        return First(encoder, ["input_features"]), ["input_features"], lambda b, _: dict(input_features=normal(b, 16, 80)), {"input_features": {0: "batch"}}, [(2, 0), (1, 0)]
    if name == "audio-spectrogram-transformer":
        config = AutoConfig.for_model(name, **WIDTH, patch_size=8, frequency_stride=6, time_stride=6, max_length=64, num_mel_bins=32)
        return First(eager(AutoModel, config).eval(), ["input_values"]), ["input_values"], lambda b, _: dict(input_values=normal(b, 64, 32)), {"input_values": {0: "batch"}}, [(2, 0), (1, 0)]
    if name == "segformer-head":
        config = AutoConfig.for_model("segformer", **IMAGES["segformer"], num_labels=3)
        model = transformers.SegformerForSemanticSegmentation(config).eval()
        return (First(model, ["pixel_values"], ("logits",)), ["pixel_values"], lambda b, s: dict(pixel_values=normal(b, 3, s, s + 32)),
                {"pixel_values": {0: "batch", 2: "height", 3: "width"}}, [(2, 64), (1, 96)])
    if name == "clip":
        config = AutoConfig.for_model("clip", text_config=TEXT, vision_config=IMAGE, projection_dim=24)
        names = ["input_ids", "pixel_values", "attention_mask"]
        feed = lambda b, t: dict(text_feed(random, b, t, names), pixel_values=normal(b + 1, 3, 32, 32))
        dims = {0: "texts", 1: "sequence"}
        return (First(eager(AutoModel, config).eval(), names, ("logits_per_image",)), names, lambda b, t: {n: feed(b, t)[n] for n in names},
                {"input_ids": dims, "attention_mask": dims, "pixel_values": {0: "images"}}, [(2, 12), (1, 5)])
    if name == "sentence":
        class Sentence(torch.nn.Module):
            """What optimum makes of a sentence-transformers folder."""

            def __init__(self):
                super().__init__()
                self.model = eager(AutoModel, AutoConfig.for_model("bert", **TEXT)).eval()

            def forward(self, input_ids, attention_mask):
                rows = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
                weights = attention_mask[..., None].to(rows.dtype)
                return rows, torch.nn.functional.normalize((rows * weights).sum(1) / weights.sum(1).clamp(min=1e-9), dim=1)
        names, dims = ["input_ids", "attention_mask"], {0: "batch", 1: "sequence"}
        return Sentence(), names, lambda b, t: text_feed(random, b, t, names), {n: dims for n in names}, [(2, 12), (1, 5), (3, 33)]
    if name == "cnn":
        n = torch.nn
        layers = n.Sequential(n.Conv2d(3, 12, 3, 2, 1), n.BatchNorm2d(12), n.Hardswish(), n.Conv2d(12, 12, 3, 1, 1, groups=12), n.GroupNorm(3, 12), n.SiLU(), n.MaxPool2d(2), n.Conv2d(12, 24, 1),
                              n.AdaptiveAvgPool2d(4), n.Flatten(), n.Linear(384, 10), n.Softmax(-1)).eval()
        return layers, ["image"], lambda b, _: dict(image=normal(b, 3, 32, 32)), {"image": {0: "batch"}}, [(2, 0), (1, 0), (5, 0)]
    raise SystemExit(f"there is no model {name}")


def export(module, feed, names, dims, path, dynamo):
    arguments = tuple(torch.from_numpy(feed[name]) for name in names)
    if dynamo:
        made = {d: torch.export.Dim(d, min=1, max=4096) for shape in dims.values() for d in shape.values()}
        shapes = tuple({at: made[d] for at, d in dims[name].items()} for name in names)
        torch.onnx.export(module, arguments, path, input_names=names, dynamic_shapes=(shapes,) if isinstance(module, First) else shapes, dynamo=True, verbose=False)
    else:
        torch.onnx.export(module, arguments, path, input_names=names, dynamic_axes={n: dict(dims[n]) for n in names}, dynamo=False, opset_version=17)


def quern(*arguments):
    made = subprocess.run([os.path.join(BIN, arguments[0]), *arguments[1:]], capture_output=True, text=True)
    if made.returncode:
        raise RuntimeError(" ".join((made.stderr or "killed").split())[:300])


def call(artifact, feed, folder, names):
    os.makedirs(folder, exist_ok=True)
    inputs = []
    for name, value in feed.items():
        np.save(f"{folder}/{name}.npy", value)
        inputs += ["--input", f"{name}={folder}/{name}.npy"]
    quern("quern-run", "call", "-m", artifact, "--entry", "main", *inputs, "--output-dir", f"{folder}/out")
    return [np.load(f"{folder}/out/{name}.npy") for name in names]


def compare(name, dynamo, scratch):
    import onnxruntime
    torch.manual_seed(SEED)
    path = os.path.join(scratch, f"{name}-{'dynamo' if dynamo else 'script'}.onnx")
    try:
        module, names, make, dims, sizes = model_of(name)
    except Exception as error:
        return None, f"transformers does not make it: {str(error).splitlines()[0][:70]}"
    feeds = [make(*size) for size in sizes]
    if not os.path.exists(path):
        try:
            with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
                export(module, feeds[0], names, dims, path, dynamo)
        except Exception as error:
            return None, f"torch does not export it: {(str(error) or type(error).__name__).splitlines()[0][:70]}"
    try:
        peer = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:
        return None, f"ONNX Runtime does not load it: {str(error).splitlines()[0][:70]}"
    outputs, given = [o.name for o in peer.get_outputs()], [i.name for i in peer.get_inputs()]
    begun = time.time()
    try:
        quern("quern", "compile", path, "-o", path[:-5] + ".quern", "--variant", "native", "-q")
    except RuntimeError as error:
        return False, f"refused: {error}"
    taken, worst, ran = time.time() - begun, 0, 0
    for feed in feeds:
        feed = {key: value for key, value in feed.items() if key in given}
        try:
            wanted = peer.run(outputs, feed)
        except Exception:
            continue  # an export that is for its example's shapes only
        try:
            got = call(path[:-5] + ".quern", feed, path[:-5], outputs)
        except RuntimeError as error:
            return False, f"call: {error}"
        ran += 1
        for a, b in zip(got, wanted):
            if a.shape != b.shape:
                return False, f"shape {a.shape}, wanted {b.shape}"
            worst = max(worst, float(np.abs(a - b).max() / max(b.std(), 1e-3 * np.abs(b).max(), 1e-6)) if np.isfinite(b).all() else float("inf"))
    return worst < 1e-3, f"{worst:.1e} ({ran} of {len(feeds)} shapes, {taken:.1f} s)"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", help="a folder for exports and artifacts; exports that are there are taken")
    parser.add_argument("--exporter", choices=["script", "dynamo"], help="one of the two")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or scratch
        os.makedirs(folder, exist_ok=True)
        for name in arguments.names or [*TEXTS, *IMAGES, *SOUNDS, *HEADS, *OTHERS]:
            for exporter in [arguments.exporter] if arguments.exporter else ["script", "dynamo"]:
                good, text = compare(name, exporter == "dynamo", folder)
                wrong += good is False
                print(f"{'off ' if good is False else 'none' if good is None else 'good'} {name} ({exporter}): {text}", flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

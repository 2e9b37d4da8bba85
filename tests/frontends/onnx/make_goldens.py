"""Makes data/*.onnx and data/shapes.json: exports by both of torch's exporters, one layer deep and without their weights, and
the shape of every value as ONNX Runtime computes it, at two sizes.

usage: make_goldens.py     needs numpy torch transformers onnx onnxscript onnxruntime
Weights of more than 64 elements lie, all of them, at the beginning of data/weights.bin, which the test makes of zeros.
"""
import json, logging, os, warnings
warnings.filterwarnings("ignore"); logging.disable(logging.WARNING)
import numpy as np, onnx, torch
import onnxruntime as ort
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, DynamicCache

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
SIZES = [dict(batch=2, sequence=5, past=3), dict(batch=1, sequence=9, past=0)]
D = dict(vocab_size=61, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48, max_position_embeddings=32)

class Encoder(torch.nn.Module):
    def __init__(self): super().__init__(); self.m = AutoModel.from_config(AutoConfig.for_model("bert", **D), attn_implementation="eager").eval()
    def forward(self, input_ids, attention_mask): return self.m(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

class Decoder(torch.nn.Module):
    def __init__(self): super().__init__(); self.m = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", num_key_value_heads=2, **D), attn_implementation="eager").eval()
    def forward(self, input_ids, attention_mask, past_k, past_v):
        c = DynamicCache(); c.update(past_k, past_v, 0)
        o = self.m(input_ids=input_ids, attention_mask=attention_mask, past_key_values=c, use_cache=True)
        return o.logits, o.past_key_values.layers[0].keys, o.past_key_values.layers[0].values

def inputs(decoder, batch, sequence, past):
    ids = torch.randint(3, 60, (batch, sequence))
    if not decoder: return dict(input_ids=ids, attention_mask=torch.ones(batch, sequence, dtype=torch.int64))
    return dict(input_ids=ids, attention_mask=torch.ones(batch, sequence + past, dtype=torch.int64), past_k=torch.randn(batch, 2, past, 8), past_v=torch.randn(batch, 2, past, 8))

def strip(model):
    for t in model.graph.initializer:
        if np.prod(t.dims) > 64:
            for f in ("raw_data", "float_data", "int64_data", "external_data"): t.ClearField(f)
            t.data_location = onnx.TensorProto.EXTERNAL
            e = t.external_data.add(); e.key, e.value = "location", "weights.bin"
    for n in model.graph.node:
        n.ClearField("doc_string")
        keep = [m for m in n.metadata_props if m.key == "pkg.torch.onnx.name_scopes"]; n.ClearField("metadata_props"); n.metadata_props.extend(keep)
    for f in ("value_info", "doc_string", "metadata_props"): model.graph.ClearField(f)
    model.ClearField("metadata_props"); model.ClearField("functions")

def main():
    golden = {}
    for decoder in (False, True):
        for dynamo in (False, True):
            torch.manual_seed(0); m = Decoder() if decoder else Encoder(); a = inputs(decoder, 2, 5, 3)
            dyn = {"input_ids": {0: "batch", 1: "sequence"}, "attention_mask": {0: "batch", 1: "total" if decoder else "sequence"}}
            if decoder: dyn |= {k: {0: "batch", 2: "past"} for k in ("past_k", "past_v")}
            name = f"{'llama-past' if decoder else 'bert'}-{'dynamo' if dynamo else 'script'}"; path = os.path.join(HERE, name + ".onnx")
            if dynamo:
                dim = {k: torch.export.Dim.DYNAMIC for k in ("batch", "sequence", "total", "past")} if decoder else {k: torch.export.Dim(k, min=1, max=64) for k in ("batch", "sequence")}
                torch.onnx.export(m, tuple(a.values()), path, input_names=list(a), dynamic_shapes=tuple({i: dim[d] for i, d in dyn[n].items()} for n in a), dynamo=True, verbose=False, external_data=False)
            else: torch.onnx.export(m, tuple(a.values()), path, input_names=list(a), dynamic_axes=dyn, dynamo=False, opset_version=17)
            model = onnx.load(path); whole = onnx.load(path); have = {o.name for o in whole.graph.output}
            names = [o for n in whole.graph.node for o in n.output if o]
            for o in names:
                if o not in have: whole.graph.output.append(onnx.ValueInfoProto(name=o))
            options = ort.SessionOptions(); options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL; options.log_severity_level = 4
            run = ort.InferenceSession(whole.SerializeToString(), options, providers=["CPUExecutionProvider"]); cases = []
            for sizes in SIZES:
                feed = {k: v.numpy() for k, v in inputs(decoder, **sizes).items()}
                symbols = {d.dim_param: feed[v.name].shape[k] for v in model.graph.input for k, d in enumerate(v.type.tensor_type.shape.dim) if d.dim_param}
                out = run.run(names, feed)
                cases.append({"sizes": symbols, "shapes": {n: list(o.shape) for n, o in zip(names, out)}, "values": {n: o.reshape(-1).tolist() for n, o in zip(names, out) if o.dtype == np.int64 and o.size <= 8}})
            golden[name] = cases; strip(model); onnx.save(model, path); print(name, os.path.getsize(path))
    with open(os.path.join(HERE, "shapes.json"), "w") as f: json.dump(golden, f, separators=(",", ":"))

if __name__ == "__main__": main()

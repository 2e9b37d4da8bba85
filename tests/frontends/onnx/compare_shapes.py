"""Compares the shapes that Quern infers with those that ONNX Runtime computes: every value, at several sizes.

usage: [SIZES="2,64,0 1,96,0"] compare_shapes.py ONNX_SHAPES MODEL.onnx...     needs numpy, onnx, onnxruntime
ONNX_SHAPES is build/tests/onnx_shapes, SIZES batch, tokens (or the sides of an image) and past of each run. Prints a line a model; exit code 1 if any shape differs.
"""
import collections, json, os, subprocess, sys
import numpy as np, onnx, onnxruntime as ort

SIZES = [tuple(map(int, s.split(","))) for s in os.environ.get("SIZES", "2,12,5 1,5,3 3,9,0 3,12,7").split()]

def infer(tool, path, *sizes):
    run = subprocess.run([tool, path, *[",".join(f"{k}={v}" for k, v in s.items()) for s in sizes]], capture_output=True, text=True)
    if run.returncode not in (0, 1): raise SystemExit(f"{tool} {path}: exit code {run.returncode}\n{run.stderr}")
    return json.loads(run.stdout)

def named(v, k, d):
    n = d.dim_param
    return f"{v.name}.{k}" if n in ("", "?", "-1") or n.startswith("unk__") else n

def binding(model, sizes, bound):
    """A size for each symbol: those that the graph says are equal get one; (batch, tokens, past) by place and name."""
    batch, tokens, past = sizes; env = {}
    for v in model.graph.input:
        for k, d in enumerate(v.type.tensor_type.shape.dim):
            if d.HasField("dim_value") and d.dim_value >= 0: continue
            name = named(v, k, d)
            if name in env: continue
            n = v.name
            env[name] = (past + tokens if n == "attention_mask" and "past" in bound else batch if k == 0 else past if "past_" in n and k == 2 else tokens)
    return env

def feed(model, env):
    r = np.random.default_rng(0); f = {}
    for v in model.graph.input:
        t = v.type.tensor_type
        shape = [d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else env[named(v, k, d)] for k, d in enumerate(t.shape.dim)]
        kind = onnx.helper.tensor_dtype_to_np_dtype(t.elem_type)
        f[v.name] = r.integers(3, 200, shape).astype(kind) if kind.kind in "iu" else r.standard_normal(shape).astype(kind)
        if v.name == "attention_mask":
            f[v.name] = np.ones(shape, kind); f[v.name][0, : max(1, shape[1] // 3)] = 0
    return f

def session(model):
    have = {o.name for o in model.graph.output}
    for n in model.graph.node:
        for o in n.output:
            if o and o not in have: model.graph.output.append(onnx.ValueInfoProto(name=o))
    options = ort.SessionOptions(); options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL; options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

def compare(tool, path):
    model = onnx.load(path); first = infer(tool, path); name = os.path.basename(path)
    inputs = {v.name for v in model.graph.input}
    environments = [binding(model, s, name) for s in SIZES]
    got = infer(tool, path, *environments); values = {v["name"]: v for v in got.get("values", [])}
    run = session(model); right = wrong = elements = 0; runs = 0
    names = [o.name for o in run.get_outputs()]
    for k, env in enumerate(environments):
        try: out = dict(zip(names, run.run(None, feed(model, env))))
        except Exception as e: print("   run failed", name, env, str(e)[-100:]); continue
        runs += 1
        for n in names:
            v = values.get(n, {}); want = list(out[n].shape)
            if v.get("sizes", [None] * 9)[k] == want: right += 1
            else:
                wrong += 1
                if wrong < 4: print("   shape of", n, v.get("shape"), v.get("sizes", [None] * 9)[k], "is", want)
            if v.get("elements"):
                for text, is_ in zip(v["elements"], out[n].reshape(-1).tolist()):
                    if isinstance(text, str):
                        text = evaluate(text, env)
                    if text is not None and not np.isclose(float(text), float(is_), rtol=1e-6): wrong += 1; print("   element of", n, v["elements"], "is", is_)
                    elements += 1
    data = sum(1 for v in got["values"] if not v["constant"] and v["name"] not in inputs and not (v.get("elements") and None not in v["elements"]))
    print(f"{name:32} runs {runs} shapes {right} right {wrong} wrong, elements {elements}; nodes {got['nodes']}, of shapes {got['known_nodes']}; rounds {got['rounds']} checks {len(got.get('checks', []))} problems {len(got.get('problems') or [])}")
    for p in (got.get("problems") or [])[:5]: print("   ", p)
    return wrong == 0 and not got.get("problems") and runs > 0

def evaluate(text, env):
    fns = dict(floordiv=lambda a, b: a // b, ceildiv=lambda a, b: -(-a // b), min=min, max=max, truncdiv=lambda a, b: int(a / b), equal=lambda a, b: int(a == b), less=lambda a, b: int(a < b))
    for k, v in sorted(env.items(), key=lambda e: -len(e[0])):
        if f'"{k}"' in text: text = text.replace(f'"{k}"', str(v))
    return eval(text, {}, {**fns, **{k.replace(".", "_"): v for k, v in env.items()}}) if "." not in text else None

if __name__ == "__main__":
    sys.exit(0 if all([compare(sys.argv[1], p) for p in sys.argv[2:]]) else 1)

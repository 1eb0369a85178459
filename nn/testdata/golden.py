"""Makes golden.json: what PyTorch's autograd and AdamW say about small networks of each supported kind. Run by hand with Debian's python3-torch and python3-numpy:

    python3 golden.py > golden.json

Everything is float64 except the starting weights, which are rounded to float32, so that the numbers are those of the formulas. The network follows the descriptions of Llama 3, Qwen2 and Qwen3.
"""
import json
import math

import numpy
import torch
from torch.nn import functional

torch.set_default_dtype(torch.float64)
BASE = dict(layers=2, hidden=24, heads=4, kvHeads=2, headDim=8, ffn=40, vocab=50, context=128, theta=10000.0, eps=1e-5)
CASES = {
    "llama": {},
    "llama3": dict(tied=True, theta=500000.0, rope="llama3", factor=8.0, original=256, low=1.0, high=4.0),
    "linear": dict(rope="linear", factor=2.0),
    "yarn": dict(rope="yarn", factor=4.0, original=4096),
    "qwen2": dict(bias=True, tied=True, eps=1e-6, theta=1000000.0),
    "qwen3": dict(qkNorm=True, headDim=16, tied=True, eps=1e-6, theta=1000000.0),
    "patches": dict(patch=6, kvHeads=4),
    "lora": dict(rank=3, alpha=6.0),
}


def frequencies(c):
    dim = c["headDim"]
    f = c["theta"] ** -(torch.arange(0, dim, 2) / dim)
    kind = c.get("rope")
    if kind == "linear":
        return f / c["factor"], 1.0
    if kind == "llama3":
        wave = 2 * math.pi / f
        longest, shortest = c["original"] / c["low"], c["original"] / c["high"]
        smooth = (c["original"] / wave - c["low"]) / (c["high"] - c["low"])
        middle = (1 - smooth) * f / c["factor"] + smooth * f
        return torch.where(wave > longest, f / c["factor"], torch.where(wave < shortest, f, middle)), 1.0
    if kind == "yarn":
        def index(turns):
            return dim * math.log(c["original"] / (turns * 2 * math.pi)) / (2 * math.log(c["theta"]))
        low, high = max(math.floor(index(32)), 0), min(math.ceil(index(1)), dim - 1)
        ramp = ((torch.arange(dim // 2) - low) / max(high - low, 0.001)).clamp(0, 1)
        return f / c["factor"] * ramp + f * (1 - ramp), 0.1 * math.log(c["factor"]) + 1
    return f, 1.0


def shapes(c):
    """Names and shapes in the order in which starting weights are numbered."""
    d, q, kv, f = c["hidden"], c["heads"] * c["headDim"], c["kvHeads"] * c["headDim"], c["ffn"]
    yield "model.embed_tokens.weight", (c["vocab"], d)
    if c.get("patch"):
        yield "model.patch_embed.weight", (d, c["patch"])
        yield "model.patch_embed.bias", (d,)
    for i in range(c["layers"]):
        at = f"model.layers.{i}."
        yield at + "input_layernorm.weight", (d,)
        for name, rows in (("q", q), ("k", kv), ("v", kv)):
            yield at + f"self_attn.{name}_proj.weight", (rows, d)
            if c.get("bias"):
                yield at + f"self_attn.{name}_proj.bias", (rows,)
        if c.get("qkNorm"):
            yield at + "self_attn.q_norm.weight", (c["headDim"],)
            yield at + "self_attn.k_norm.weight", (c["headDim"],)
        yield at + "self_attn.o_proj.weight", (d, q)
        yield at + "post_attention_layernorm.weight", (d,)
        yield at + "mlp.gate_proj.weight", (f, d)
        yield at + "mlp.up_proj.weight", (f, d)
        yield at + "mlp.down_proj.weight", (d, f)
    yield "model.norm.weight", (d,)
    if not c.get("tied"):
        yield "lm_head.weight", (c["vocab"], d)
    if c.get("rank"):
        for i in range(c["layers"]):
            for name, rows, cols in (("self_attn.q_proj", q, d), ("mlp.down_proj", d, f)):
                yield f"model.layers.{i}.{name}.lora_A.weight", (c["rank"], cols)
                yield f"model.layers.{i}.{name}.lora_B.weight", (rows, c["rank"])


def start(shape, number, norm):
    n = math.prod(shape)
    x = numpy.arange(1, n + 1, dtype=numpy.float64) * ((math.sqrt(5) - 1) / 2 + number / 16)
    w = (x - numpy.floor(x) - 0.5) * (0.2 if norm else 0.8) + (1 if norm else 0)
    return torch.from_numpy(w.astype(numpy.float32).astype(numpy.float64)).view(shape).clone().requires_grad_()


def norm(x, w, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * w


def forward(c, p, tokens, patches):
    """Log-probabilities [length, vocab] of one sequence; a token of -1 takes the next patch."""
    n, hd, scale = len(tokens), c["headDim"], c.get("alpha", 0) / max(c.get("rank", 0), 1)

    def linear(name, x):
        y = x @ p[name + ".weight"].T
        if name + ".bias" in p:
            y = y + p[name + ".bias"]
        if name + ".lora_A.weight" in p:
            y = y + scale * (x @ p[name + ".lora_A.weight"].T) @ p[name + ".lora_B.weight"].T
        return y

    rows, used = [], 0
    for t in tokens:
        if t >= 0:
            rows.append(p["model.embed_tokens.weight"][t])
            continue
        rows.append(linear("model.patch_embed", patches[used]))
        used += 1
    x = torch.stack(rows)
    f, by = frequencies(c)
    angle = torch.arange(n)[:, None] * f[None]
    cos, sin = (torch.cat([g(angle)] * 2, -1) * by for g in (torch.cos, torch.sin))
    for i in range(c["layers"]):
        at = f"model.layers.{i}."
        h = norm(x, p[at + "input_layernorm.weight"], c["eps"])
        q, k, v = (linear(at + f"self_attn.{s}_proj", h).view(n, -1, hd).transpose(0, 1) for s in "qkv")
        if c.get("qkNorm"):
            q, k = norm(q, p[at + "self_attn.q_norm.weight"], c["eps"]), norm(k, p[at + "self_attn.k_norm.weight"], c["eps"])

        def turn(z):
            a, b = z.chunk(2, -1)
            return z * cos + torch.cat([-b, a], -1) * sin

        group = c["heads"] // c["kvHeads"]
        k, v = turn(k).repeat_interleave(group, 0), v.repeat_interleave(group, 0)
        scores = turn(q) @ k.transpose(1, 2) / math.sqrt(hd) + torch.full((n, n), -math.inf).triu(1)
        x = x + linear(at + "self_attn.o_proj", (functional.softmax(scores, -1) @ v).transpose(0, 1).reshape(n, -1))
        h = norm(x, p[at + "post_attention_layernorm.weight"], c["eps"])
        x = x + linear(at + "mlp.down_proj", functional.silu(linear(at + "mlp.gate_proj", h)) * linear(at + "mlp.up_proj", h))
    x = norm(x, p["model.norm.weight"], c["eps"])
    head = "model.embed_tokens.weight" if c.get("tied") else "lm_head.weight"
    return functional.log_softmax(x @ p[head].T, -1)


def case(extra):
    c = {**BASE, **extra}
    p = {name: start(shape, i, "norm" in name) for i, (name, shape) in enumerate(shapes(c))}
    batch = []
    for length in (5, 70):
        tokens = [(7 * length + 11 * t * t) % c["vocab"] for t in range(length)]
        patches = []
        if c.get("patch"):
            for t in range(1, length, 4):
                tokens[t] = -1
                patches.append([math.sin(t + j) for j in range(c["patch"])])
        targets = [tokens[t + 1] if t + 1 < length else -1 for t in range(length)]
        weights = [math.cos(t) if targets[t] >= 0 else 0.0 for t in range(length)]
        entropy = [0.1 * math.sin(2 * t) if targets[t] >= 0 else 0.0 for t in range(length)]
        batch.append(dict(tokens=tokens, targets=targets, patches=sum(patches, []), weights=weights, entropy=entropy, rows=torch.tensor(patches) if patches else None))
    optimizer = torch.optim.AdamW(p.values(), lr=1e-3, weight_decay=0.1)
    losses, first, gradients, norms = [], None, None, []
    for step in range(3):
        optimizer.zero_grad()
        loss, said = 0, []
        for s in batch:
            logp = forward(c, p, s["tokens"], s["rows"])
            h = -(logp.exp() * logp).sum(-1)
            live = [t for t, target in enumerate(s["targets"]) if target >= 0]
            picked = [logp[t, s["targets"][t]] for t in live]
            for t, l in zip(live, picked):
                loss = loss - s["weights"][t] * l - s["entropy"][t] * h[t]
            said.append(dict(logProbs=[round(l.item(), 7) for l in picked], entropy=[round(h[t].item(), 7) for t in live]))
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(p.values(), 20.0).item())
        losses.append(loss.item())
        if step == 0:
            first, by = said, 20.0 / max(norms[0], 20.0)
            gradients = {name: [float(f"{v:.6g}") for v in (w.grad.pow(2).sum().sqrt().item() / by, w.grad.view(-1)[0].item() / by, w.grad.view(-1)[-1].item() / by)] for name, w in p.items()}
        optimizer.step()
    for s in batch:
        del s["rows"]
        s["patches"] = [round(v, 9) for v in s["patches"]]
        s["weights"], s["entropy"] = ([round(v, 9) for v in s[k]] for k in ("weights", "entropy"))
    return dict(config=c, order=list(p), batch=batch, said=first, losses=losses, norms=norms, gradients=gradients)


if __name__ == "__main__":
    print(json.dumps({name: case(extra) for name, extra in CASES.items()}, indent=None, separators=(",", ":")).replace('},"', '},\n"'))

# Losses and their gradients by PyTorch's autograd, written from the papers' formulas and not from the Go code. Prints golden.json:
#   python3 golden.py > golden.json          (Debian: python3-torch)
import json, math, torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
lengths = [3, 5, 4, 2]
n = len(lengths)
width = max(lengths)
mask = torch.tensor([[1.0 if t < l else 0.0 for t in range(width)] for l in lengths])
old = -torch.rand(n, width) * 3 * mask
ref = (old + 0.2 * torch.randn(n, width)) * mask
logp0 = (old + 0.3 * torch.randn(n, width)) * mask
reward = torch.tensor([1.0, 0.0, 0.25, 0.75])

def cut(x):
    return [[float(v) for v in row[:l]] for row, l in zip(x, lengths)]

mean_std = (reward - reward.mean()) / reward.std()             # unbiased, as torch's default
loo = torch.stack([reward[i] - torch.cat([reward[:i], reward[i + 1:]]).mean() for i in range(n)])

def token_mean(x):
    return (x * mask).sum() / mask.sum()

def seq_mean(x):
    return ((x * mask).sum(1) / mask.sum(1)).mean()

def ratio(l):
    return torch.exp(l - old)

def ppo(l, a, low, high):
    r = ratio(l)
    return -torch.min(r * a[:, None], torch.clamp(r, 1 - low, 1 + high) * a[:, None])

def k3(l):
    d = ref - l
    return torch.exp(d) - d - 1

def gspo(l, a, low, high):
    s = torch.exp(((l - old) * mask).sum(1) / mask.sum(1))
    return -torch.min(s * a, torch.clamp(s, 1 - low, 1 + high) * a).mean()

def simple(l, a, eps):
    r = ratio(l)
    return -(r * a[:, None] - a.abs()[:, None] / (2 * eps) * (r - 1) ** 2)

def sapo(l, a):
    tau = torch.where(a > 0, torch.tensor(1.0), torch.tensor(1.05))[:, None]
    return -(4 / tau) * torch.sigmoid(tau * (ratio(l) - 1)) * a[:, None]

def cispo(l, a):
    return -torch.clamp(ratio(l), 0.0, 1.28).detach() * a[:, None] * l

def margin(l, base, i, j):
    return ((l - base)[i] * mask[i]).sum() - ((l - base)[j] * mask[j]).sum()

def taylor(l, a):
    total = 0.0
    for i in range(n):
        d = (ratio(l) - 1)[i, :lengths[i]]
        pairs = sum(d[t] * d[u] for t in range(len(d)) for u in range(t + 1, len(d)))
        total = total - a[i] * (1 + d.sum() + pairs) / n
    return total

best, worst = 0, 1
losses = {
    "group-clip": lambda l: seq_mean(ppo(l, mean_std, 0.2, 0.2) + 0.001 * k3(l)),
    "group-clip-higher": lambda l: token_mean(ppo(l, mean_std, 0.2, 0.28)),
    "group-leave-one-out": lambda l: -(loo[:, None] * l * mask).sum() / n,
    "sequence-clip": lambda l: gspo(l, mean_std, 3e-4, 4e-4),
    "quadratic": lambda l: token_mean(simple(l, mean_std, 0.2)),
    "sigmoid-gate": lambda l: seq_mean(sapo(l, mean_std)),
    "clipped-weight": lambda l: token_mean(cispo(l, mean_std)),
    "taylor-2": lambda l: taylor(l, loo),
    "pairs-logistic": lambda l: -F.logsigmoid(0.1 * margin(l, ref, best, worst)),
    "pairs-square": lambda l: (margin(l, ref, best, worst) - 1 / 0.2) ** 2,
    "maximum-likelihood": lambda l: -token_mean(l),
}
cases = {}
for name, f in losses.items():
    l = logp0.clone().requires_grad_(True)
    loss = f(l)
    loss.backward()
    cases[name] = {"loss": float(loss), "w": cut(-l.grad)}
print(json.dumps({"torch": torch.__version__, "old": cut(old), "ref": cut(ref), "logp": cut(logp0), "reward": [float(x) for x in reward], "cases": cases}, indent=1))

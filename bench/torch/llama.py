"""The network and the step that Proviso's engine is compared with, in plain PyTorch: embedding, blocks of RMSNorm, rotary attention and SwiGLU, output layer; forward, cross-entropy,
backward, AdamW. It takes one step for each line on standard input and answers with the loss, the wall time and the CPU time of the step, in seconds.

Run by bench/torch; by hand: yes | head -8 | python3 llama.py 4 256 4 768 4096 8 256 1
The arguments are layers, width, heads, feed-forward width, vocabulary, sequences, length, threads.
"""
import math
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional

layers, width, heads, ffn, vocab, batch, length, threads = map(int, sys.argv[1:9])
torch.set_num_threads(threads)
head = width // heads


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


angle = torch.arange(length).float()[:, None] / (10000 ** (torch.arange(0, head, 2).float() / head))[None]
cos, sin = torch.cat([angle.cos()] * 2, -1), torch.cat([angle.sin()] * 2, -1)
future = torch.full((length, length), -math.inf).triu(1)


def rotate(x):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = Norm(), Norm()
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.up, self.down = nn.Linear(width, ffn, bias=False), nn.Linear(width, ffn, bias=False), nn.Linear(ffn, width, bias=False)

    def forward(self, x):
        h = self.norm1(x)
        q, k, v = (p(h).view(batch, length, heads, head).transpose(1, 2) for p in (self.q, self.k, self.v))
        scores = rotate(q) @ rotate(k).transpose(-1, -2) / math.sqrt(head) + future
        x = x + self.o((functional.softmax(scores, -1) @ v).transpose(1, 2).reshape(batch, length, width))
        h = self.norm2(x)
        return x + self.down(functional.silu(self.gate(h)) * self.up(h))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.blocks = nn.ModuleList(Block() for _ in range(layers))
        self.norm = Norm()
        self.out = nn.Linear(width, vocab, bias=False)

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.out(self.norm(x))


def start(parameter, number):
    """Weights that Go can make, too: uniform with the deviation 0.02, each hashed from its place (SplitMix64)."""
    x = (numpy.arange(1, parameter.numel() + 1, dtype=numpy.uint64) + numpy.uint64(number << 40)) * numpy.uint64(0x9E3779B97F4A7C15)
    for shift, by in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> numpy.uint64(shift))) * numpy.uint64(by)
    x = (x ^ (x >> numpy.uint64(31))) >> numpy.uint64(11)
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(((x / 2.0**53 - 0.5) * 0.04 * math.sqrt(3)).astype(numpy.float32)).view_as(parameter))


net = Net()
matrices = [net.embed]
for b in net.blocks:
    matrices += [b.q, b.k, b.v, b.o, b.gate, b.up, b.down]
for i, m in enumerate(matrices + [net.out]):
    start(m.weight, i)
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01, foreach=True)
tokens = torch.arange(batch * length) * 2654435761 % vocab
targets = torch.roll(tokens, -1)
tokens = tokens.view(batch, length)

print(torch.__version__, sum(p.numel() for p in net.parameters()), flush=True)
for _ in sys.stdin:
    wall, cpu = time.perf_counter(), time.process_time()
    loss = functional.cross_entropy(net(tokens).view(-1, vocab), targets)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    print(repr(loss.item()), time.perf_counter() - wall, time.process_time() - cpu, flush=True)

#!/usr/bin/env python3
"""Makes statistics.json, the golden numbers of package eval: python3 statistics.py > statistics.json

Every number is computed another way than in Go: Wilson's interval as the roots of the equation it solves, by bisection in 60 digits;
the sign test in exact fractions; the bootstrap with SplitMix64 written down again, over integers, and with exact means.
"""

import json
from decimal import Decimal, getcontext
from fractions import Fraction
from math import comb

getcontext().prec = 60
Z = Decimal("1.959963984540054")


def wilson(k, n):
    """The p with (k/n - p)^2 = z^2 p (1 - p) / n, below and above k/n."""
    share = Decimal(k) / n

    def outside(p):
        return (share - p) ** 2 > Z * Z * p * (1 - p) / n

    def root(inside, end):
        for _ in range(180):
            mid = (inside + end) / 2
            inside, end = (inside, mid) if outside(mid) else (mid, end)
        return inside

    low = Decimal(0) if k == 0 else root(share, Decimal(0))
    high = Decimal(1) if k == n else root(share, Decimal(1))
    return float(low), float(high)


def sign(better, worse):
    n, k = better + worse, min(better, worse)
    if better == worse:
        return 1.0
    return float(min(Fraction(1), 2 * Fraction(sum(comb(n, i) for i in range(k + 1)), 2**n)))


def bootstrap(values, rounds, seed):
    state, mask = seed, 2**64 - 1

    def below(n):
        nonlocal state
        while True:
            state = (state + 0x9E3779B97F4A7C15) & mask
            z = state
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
            z ^= z >> 31
            if z < mask - mask % n:
                return z % n

    means = sorted(Fraction(sum(values[below(len(values))] for _ in values), len(values)) for _ in range(rounds))

    def quantile(q):
        at = q * (rounds - 1)
        i = int(at)
        return float(means[i] + (at - i) * (means[min(i + 1, rounds - 1)] - means[i]))

    return quantile(Fraction(25, 1000)), quantile(Fraction(975, 1000))


shares = [(0, 1), (1, 1), (0, 10), (5, 10), (10, 10), (1, 100), (37, 249), (2431, 2435), (9342, 9346), (6060, 6060), (1, 1000000)]
splits = [(0, 0), (1, 0), (0, 5), (3, 3), (10, 2), (2, 10), (8, 20), (25, 60), (100, 130), (400, 500), (3, 1997)]
samples = [([1, -1, 0, 0, 1, 1, 0, 1], 200, 1), ([0] * 90 + [1] * 7 + [-1] * 3, 1000, 1), ([1], 10, 5), (list(range(-6, 7)), 500, 2**64 - 1)]
print(json.dumps({
    "wilson": [{"k": k, "n": n, "interval": wilson(k, n)} for k, n in shares],
    "sign": [{"better": b, "worse": w, "p": sign(b, w)} for b, w in splits],
    "bootstrap": [{"values": v, "rounds": r, "seed": s, "interval": bootstrap(v, r, s)} for v, r, s in samples],
}, indent=1))

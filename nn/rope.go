package nn

import (
	"math"
	"sync"
)

// turns keeps the sines and cosines of rotary positions. Decoders that run beside each other share it, so a table that is handed out never changes; longer ones replace it.
type turns struct {
	mu   sync.Mutex
	have angles
}

// angles is cosine and sine of each pair at each position, [positions, HeadDim/2].
type angles struct {
	half     int
	cos, sin []float32
}

// at returns the values of one position.
func (a angles) at(position int) (cos, sin []float32) {
	lo, hi := position*a.half, (position+1)*a.half
	return a.cos[lo:hi], a.sin[lo:hi]
}

// upTo returns a table for positions below length.
func (t *turns) upTo(length int, c Config) angles {
	t.mu.Lock()
	defer t.mu.Unlock()
	half := c.HeadDim / 2
	done := len(t.have.cos) / half
	if length <= done {
		return t.have
	}
	length = min(max(length, 2*done), c.Context)
	freq, by := c.Rope.frequencies(c.HeadDim)
	a := angles{half: half, cos: alloc(length * half), sin: alloc(length * half)}
	copy(a.cos, t.have.cos)
	copy(a.sin, t.have.sin)
	for p := done; p < length; p++ {
		for i, f := range freq {
			s, c := math.Sincos(float64(p) * f)
			a.cos[p*half+i], a.sin[p*half+i] = float32(c*by), float32(s*by)
		}
	}
	t.have = a
	return a
}

// frequencies returns the angle per position of each of dim/2 pairs, and the factor that multiplies sine and cosine.
func (r Rope) frequencies(dim int) ([]float64, float64) {
	f := make([]float64, dim/2)
	for i := range f {
		f[i] = math.Pow(r.Theta, -float64(2*i)/float64(dim))
	}
	switch r.Scaling {
	case LinearScaling:
		for i := range f {
			f[i] /= r.Factor
		}
	case Llama3Scaling:
		for i := range f {
			turns := float64(r.OriginalContext) * f[i] / (2 * math.Pi)
			keep := (turns - r.LowFreqFactor) / (r.HighFreqFactor - r.LowFreqFactor)
			f[i] *= mix(1/r.Factor, 1, keep)
		}
	case YarnScaling:
		return r.yarn(f, dim)
	}
	return f, 1
}

// yarn is "NTK by parts": pairs that turn often within the original context keep their frequency, slow ones are interpolated, and those between are blended by index.
func (r Rope) yarn(f []float64, dim int) ([]float64, float64) {
	fast, slow := orElse(r.BetaFast, 32), orElse(r.BetaSlow, 1)
	index := func(turns float64) float64 {
		return float64(dim) * math.Log(float64(r.OriginalContext)/(turns*2*math.Pi)) / (2 * math.Log(r.Theta))
	}
	low, high := max(math.Floor(index(fast)), 0), min(math.Ceil(index(slow)), float64(dim-1))
	if low == high {
		high += 0.001
	}
	for i := range f {
		f[i] *= mix(1, 1/r.Factor, (float64(i)-low)/(high-low))
	}
	return f, orElse(r.AttentionFactor, 1+0.1*math.Log(r.Factor))
}

// mix goes from a to b as t goes from 0 to 1, and no further.
func mix(a, b, t float64) float64 {
	t = min(max(t, 0), 1)
	return a + (b-a)*t
}

func orElse(x, zero float64) float64 {
	if x == 0 {
		return zero
	}
	return x
}

package nn

import (
	"fmt"
	"math"
)

// AdamW is the optimizer of Loshchilov and Hutter (2019), with the bias correction of Kingma and Ba (2015), as PyTorch computes it. The zero value with a Rate works.
type AdamW struct {
	Rate  float64 // learning rate
	Beta1 float64 // decay of the first moment; 0: 0.9
	Beta2 float64 // decay of the second moment; 0: 0.999
	Eps   float64 // added to the root of the second moment; 0: 1e-8
	Decay float64 // weight decay, times Rate
	Clip  float64 // longest gradient, by the norm over all parameters; longer ones are scaled to it; 0: no limit

	Steps   int       // taken so far
	Moments []Moments // parallel to the trained parameters; allocated by the first step
}

// Moments is the state of one parameter. A checkpoint keeps Steps and these, and continues with the same bits.
type Moments struct {
	Name string
	M, V []float32 // running means of the gradient and of its square
}

// Step moves the trained parameters of n against their gradients and returns the gradients' norm before clipping. The gradients stay as they are; ZeroGrad comes after.
// It fails, and changes nothing, where the norm is not finite or where the state belongs to other parameters.
func (a *AdamW) Step(n *Net) (norm float64, err error) {
	trained := n.trained()
	if err := a.prepare(trained); err != nil {
		return 0, err
	}
	if norm, err = n.GradNorm(); err != nil {
		return norm, err
	}
	a.Steps++
	b1, b2 := orElse(a.Beta1, 0.9), orElse(a.Beta2, 0.999)
	s := adamScalars{
		beta1: float32(b1), rest1: float32(1 - b1), beta2: float32(b2), rest2: float32(1 - b2), clip: 1, keep: float32(1 - a.Rate*a.Decay),
		step: float32(-a.Rate / (1 - math.Pow(b1, float64(a.Steps)))), root: float32(1 / math.Sqrt(1-math.Pow(b2, float64(a.Steps)))), eps: float32(orElse(a.Eps, 1e-8)),
	}
	if a.Clip > 0 && norm > a.Clip {
		s.clip = float32(a.Clip / norm)
	}
	free := s
	free.keep = 1
	for i, p := range trained {
		m, scalars := a.Moments[i], &s
		if p.NoDecay {
			scalars = &free
		}
		blocks(n.workers(), len(p.Data), 1<<15, func(lo, hi int) {
			active.adamw(p.Data[lo:hi], p.Grad[lo:hi], m.M[lo:hi], m.V[lo:hi], scalars)
		})
	}
	return norm, nil
}

// prepare allocates the moments, or checks that they are those of the parameters.
func (a *AdamW) prepare(trained []*Param) error {
	if a.Moments == nil {
		for _, p := range trained {
			a.Moments = append(a.Moments, Moments{Name: p.Name, M: alloc(len(p.Data)), V: alloc(len(p.Data))})
		}
	}
	if len(a.Moments) != len(trained) {
		return fmt.Errorf("nn: the optimizer has moments of %d parameters, %d are trained; start a new optimizer when Train chooses others", len(a.Moments), len(trained))
	}
	for i, p := range trained {
		if m := a.Moments[i]; m.Name != p.Name || len(m.M) != len(p.Data) || len(m.V) != len(p.Data) {
			return fmt.Errorf("nn: the optimizer has moments of %s [%d] where %s [%d] is trained", m.Name, len(m.M), p.Name, len(p.Data))
		}
	}
	return nil
}

func (n *Net) trained() []*Param {
	var out []*Param
	for _, p := range n.params {
		if p.Grad != nil {
			out = append(out, p)
		}
	}
	return out
}

// GradNorm is the Euclidean norm over the gradients of all trained parameters. It fails with ErrNotFinite and the name of the first gradient that has a NaN or an infinity.
func (n *Net) GradNorm() (float64, error) {
	const run = 1 << 13 // values summed in fp32; the sums of runs are added in float64, in order
	var total float64
	for _, p := range n.trained() {
		sums := make([]float32, (len(p.Grad)+run-1)/run)
		blocks(n.workers(), len(p.Grad), run, func(lo, hi int) { sums[lo/run] = active.dot(p.Grad[lo:hi], p.Grad[lo:hi]) })
		for i, s := range sums {
			if !finite(s) && !allFinite(p.Grad[i*run:min((i+1)*run, len(p.Grad))]) {
				return math.NaN(), fmt.Errorf("nn: gradient of %s: %w", p.Name, ErrNotFinite)
			}
			total += float64(s)
		}
	}
	if math.IsInf(total, 0) {
		return total, fmt.Errorf("nn: the norm of the gradients: %w", ErrNotFinite)
	}
	return math.Sqrt(total), nil
}

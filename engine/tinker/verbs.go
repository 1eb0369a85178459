package tinker

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/proviso-dev/proviso/engine"
)

// once names a call for start.
func once(verb string, seq int64) string {
	if seq == 0 {
		return ""
	}
	return fmt.Sprintf("%s/%d", verb, seq)
}

func (s *Server) forwardBackward(_ context.Context, body []byte) (any, error) {
	return s.pass(body, "forward_backward")
}
func (s *Server) forward(_ context.Context, body []byte) (any, error) { return s.pass(body, "forward") }

// pass is forward, and with a gradient forward_backward.
func (s *Server) pass(body []byte, verb string) (any, error) {
	req, err := read[forwardRequest](body)
	if err != nil {
		return nil, err
	}
	m, err := s.model(req.ModelID)
	if err != nil {
		return nil, err
	}
	in := req.ForwardBackward
	if verb == "forward" {
		in = req.Forward
	}
	if in == nil {
		return nil, fmt.Errorf("%w: %s_input is missing", engine.ErrInput, verb)
	}
	if in.Loss == "" && verb == "forward" {
		in.Loss = "cross_entropy"
	}
	batch, rows, fn, err := in.read()
	if err != nil {
		return nil, err
	}
	return s.start(m, once(verb, req.SeqID), func(ctx context.Context) (any, error) {
		var values [][]float64
		weigh := func(out engine.Output) (w, _ [][]float64, err error) {
			for i, logp := range out.LogProbs {
				v, slope := fn.row(rows[i], logp, in.Config)
				values, w = append(values, v), append(w, slope)
			}
			return w, nil, nil
		}
		var out engine.Output
		var err error
		if verb == "forward" {
			out, err = m.e.LogProbs(ctx, "", batch)
			if err == nil {
				_, _, err = weigh(out)
			}
		} else {
			out, err = engine.ForwardBackwardWith(ctx, m.e, batch, weigh)
		}
		if err != nil {
			return nil, err
		}
		return passed(verb, out, values), nil
	})
}

func passed(verb string, out engine.Output, values [][]float64) forwardResponse {
	r := forwardResponse{Type: verb, OutputType: "scalar", Metrics: map[string]float64{}}
	sum := 0.0
	for i, logp := range out.LogProbs {
		o := forwardOutput{LogProbs: floats(logp), Loss: floats(values[i])}
		if out.Entropy != nil {
			o.Entropy = floats(out.Entropy[i])
		}
		r.Outputs = append(r.Outputs, o)
		for _, v := range values[i] {
			sum += v
		}
	}
	r.Metrics["loss:sum"] = sum
	return r
}

func (s *Server) optimStep(_ context.Context, body []byte) (any, error) {
	req, err := read[optimRequest](body)
	if err != nil {
		return nil, err
	}
	m, err := s.model(req.ModelID)
	if err != nil {
		return nil, err
	}
	a := req.Adam
	return s.start(m, once("optim_step", req.SeqID), func(ctx context.Context) (any, error) {
		step, err := m.e.OptimStep(ctx, engine.Adam{LearningRate: a.LearningRate, Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps, WeightDecay: a.WeightDecay, ClipNorm: a.ClipNorm})
		if err != nil {
			return nil, err
		}
		return optimResponse{"optim_step", map[string]float64{"grad_norm": step.GradNorm, "step": float64(step.Number)}}, nil
	})
}

// public is the path of the protocol for weights.
func public(model, kind, name string) string { return "tinker://" + model + "/" + kind + "/" + name }

func (s *Server) saveWeights(kind string) func(context.Context, []byte) (any, error) {
	verb := map[string]string{trainingKind: "save_weights", samplerKind: "save_weights_for_sampler"}[kind]
	return func(_ context.Context, body []byte) (any, error) {
		req, err := read[weightsRequest](body)
		if err != nil {
			return nil, err
		}
		m, err := s.model(req.ModelID)
		if err != nil {
			return nil, err
		}
		name := cmp.Or(req.Path, "unnamed")
		if err := engine.CheckName(name); err != nil {
			return nil, err
		}
		return s.start(m, once(verb, req.SeqID), func(ctx context.Context) (any, error) {
			private, err := m.e.SaveWeights(ctx, kind+"."+name)
			if err != nil {
				return nil, err
			}
			path := public(m.id, kind, name)
			if err := s.o.Index.Put(path, private); err != nil {
				return nil, err
			}
			return weightsResponse{verb, path}, nil
		})
	}
}

// weightsAt finds saved weights and the model that has them.
func (s *Server) weightsAt(path string) (m *served, private string, err error) {
	private, ok := s.o.Index.Get(path)
	if !ok {
		return nil, "", fmt.Errorf("%q: %w", path, engine.ErrNotFound)
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(path, "tinker://"), "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.models[id], private, nil
}

func (s *Server) loadWeights(_ context.Context, body []byte) (any, error) {
	req, err := read[weightsRequest](body)
	if err != nil {
		return nil, err
	}
	m, err := s.model(req.ModelID)
	if err != nil {
		return nil, err
	}
	_, private, err := s.weightsAt(req.Path)
	if err != nil {
		return nil, err
	}
	return s.start(m, once("load_weights", req.SeqID), func(ctx context.Context) (any, error) {
		if err := m.e.LoadWeights(ctx, private); err != nil {
			return nil, err
		}
		return weightsResponse{"load_weights", req.Path}, nil
	})
}

func (s *Server) samplingSession(_ context.Context, body []byte) (any, error) {
	req, err := read[samplingSessionRequest](body)
	if err != nil {
		return nil, err
	}
	if _, _, err := s.weightsAt(req.ModelPath); err != nil {
		return nil, err
	}
	id := newID("sampling-")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples[id] = req.ModelPath
	return samplingSessionResponse{"create_sampling_session", id}, nil
}

func (s *Server) sample(_ context.Context, body []byte) (any, error) {
	req, err := read[sampleRequest](body)
	if err != nil {
		return nil, err
	}
	path := req.ModelPath
	if path == "" {
		s.mu.Lock()
		path = s.samples[req.SessionID]
		s.mu.Unlock()
	}
	m, private, err := s.weightsAt(path)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("%q: the model that it was saved by has been unloaded; load it into another one: %w", path, engine.ErrNotFound)
	}
	prompt, err := req.Prompt.tokens()
	if err != nil {
		return nil, err
	}
	if req.Count > maxSamples {
		return nil, fmt.Errorf("%w: %d samples at once, at most %d", engine.ErrInput, req.Count, maxSamples)
	}
	p := req.Params
	ask := engine.SampleRequest{Prompt: prompt, Count: req.Count, MaxTokens: p.MaxTokens, Temperature: p.Temperature, TopP: p.TopP, TopK: max(p.TopK, 0), Stop: p.Stop}
	if p.Seed != nil {
		ask.Seed = uint64(*p.Seed)
	}
	return s.start(m, once("asample", req.SeqID), func(ctx context.Context) (any, error) {
		drawn, err := m.e.Sample(ctx, private, ask)
		if err != nil {
			return nil, err
		}
		r := sampleResponse{Type: "sample"}
		for _, d := range drawn {
			r.Sequences = append(r.Sequences, sequence{d.Tokens, d.LogProbs, d.Stop})
		}
		if req.PromptLogProbs {
			if r.PromptLogProbs, err = scorePrompt(ctx, m.e, private, prompt); err != nil {
				return nil, err
			}
		}
		return r, nil
	})
}

// scorePrompt is the log-probability of each token of a prompt after those before it; the first has none.
func scorePrompt(ctx context.Context, e engine.Engine, path string, prompt []int32) ([]*float64, error) {
	out := make([]*float64, len(prompt))
	if len(prompt) < 2 {
		return out, nil
	}
	d, first := engine.Continue(prompt[:1], prompt[1:])
	scored, err := e.LogProbs(ctx, path, []engine.Datum{d})
	if err != nil {
		return nil, err
	}
	for i := range scored.LogProbs[0][first:] {
		out[i+1] = &scored.LogProbs[0][first+i]
	}
	return out, nil
}

// archive sends saved weights as a file. It is made before the answer begins, so that an error can still be told.
func (s *Server) archive(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	private := ""
	for _, kind := range []string{samplerKind, trainingKind} {
		if p, ok := s.o.Index.Get(public(r.PathValue("model"), kind, name)); ok && private == "" {
			private = p
		}
	}
	if private == "" {
		answer(w, http.StatusNotFound, failure{Type: "request_failed", Error: "there are no weights of that name", Category: "user"})
		return
	}
	f, err := os.CreateTemp("", "proviso-archive-*")
	if err != nil {
		answer(w, http.StatusInternalServerError, failure{Type: "request_failed", Error: internalFault, Category: "server"})
		return
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := s.o.Archive(private, f); err != nil {
		answer(w, http.StatusInternalServerError, failure{Type: "request_failed", Error: internalFault, Category: "server"})
		return
	}
	st, err := f.Stat()
	if err != nil {
		answer(w, http.StatusInternalServerError, failure{Type: "request_failed", Error: internalFault, Category: "server"})
		return
	}
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name+".tar.gz"))
	http.ServeContent(w, r, "", st.ModTime(), f)
}

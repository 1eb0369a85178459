package tinker

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/engine"
)

// The bodies of requests and answers. Keys that a side does not know are not an error: others' programs send more.

type sessionRequest struct {
	Tags       []string `json:"tags"`
	SDKVersion string   `json:"sdk_version"`
	Type       string   `json:"type"`
}

type sessionResponse struct {
	Type      string `json:"type"`
	SessionID string `json:"session_id"`
}

type loraConfig struct {
	Rank int `json:"rank"`
}

type modelRequest struct {
	SessionID  string     `json:"session_id,omitempty"`
	ModelSeqID int        `json:"model_seq_id"`
	BaseModel  string     `json:"base_model"`
	LoRA       loraConfig `json:"lora_config"`
	Type       string     `json:"type"`
}

type modelIDRequest struct {
	ModelID string `json:"model_id"`
	Type    string `json:"type,omitempty"`
}

type infoResponse struct {
	Type      string    `json:"type"`
	ModelID   string    `json:"model_id"`
	ModelName string    `json:"model_name"`
	IsLoRA    bool      `json:"is_lora"`
	LoRARank  int       `json:"lora_rank"`
	ModelData modelData `json:"model_data"`
}

// modelData has the keys of others first, and then ours.
type modelData struct {
	Arch      string `json:"arch"`
	ModelName string `json:"model_name"`
	BaseModel string `json:"base_model"`

	Vocab     int   `json:"vocab_size,omitempty"`
	Context   int   `json:"context_length,omitempty"`
	Params    int64 `json:"parameters,omitempty"`
	Trainable int64 `json:"trainable_parameters,omitempty"`
	Steps     int   `json:"steps_taken,omitempty"`
}

type chunk struct {
	Type   string  `json:"type"`
	Tokens []int32 `json:"tokens"`
}

type modelInput struct {
	Chunks []chunk `json:"chunks"`
}

// tokens joins the chunks, which have to be text.
func (m modelInput) tokens() ([]int32, error) {
	var out []int32
	for i, c := range m.Chunks {
		if c.Type != "" && c.Type != "encoded_text" {
			return nil, fmt.Errorf("chunk %d is %q: %w", i, c.Type, engine.ErrUnsupported)
		}
		out = append(out, c.Tokens...)
	}
	return out, nil
}

func text(tokens []int32) modelInput {
	return modelInput{[]chunk{{"encoded_text", tokens}}}
}

// tensor is a flat list with its type. Shape is sent and not needed.
type tensor[T int32 | float64] struct {
	Data  []T    `json:"data"`
	DType string `json:"dtype,omitempty"`
	Shape []int  `json:"shape,omitempty"`
}

func integers(x []int32) *tensor[int32] { return &tensor[int32]{x, "int64", []int{len(x)}} }
func floats(x []float64) *tensor[float64] {
	return &tensor[float64]{x, "float32", []int{len(x)}}
}

type lossInputs struct {
	Targets    *tensor[int32]   `json:"target_tokens"`
	Weights    *tensor[float64] `json:"weights,omitempty"`
	Mask       *tensor[float64] `json:"mask,omitempty"`
	Advantages *tensor[float64] `json:"advantages,omitempty"`
	LogProbs   *tensor[float64] `json:"logprobs,omitempty"`
}

type datum struct {
	Input  modelInput `json:"model_input"`
	Inputs lossInputs `json:"loss_fn_inputs"`
}

type forwardInput struct {
	Data   []datum            `json:"data"`
	Loss   string             `json:"loss_fn"`
	Config map[string]float64 `json:"loss_fn_config,omitempty"`
}

type forwardRequest struct {
	ModelID         string        `json:"model_id"`
	ForwardBackward *forwardInput `json:"forward_backward_input,omitempty"`
	Forward         *forwardInput `json:"forward_input,omitempty"`
	SeqID           int64         `json:"seq_id,omitempty"`
	Type            string        `json:"type,omitempty"`
}

type forwardOutput struct {
	LogProbs *tensor[float64] `json:"logprobs"`
	Loss     *tensor[float64] `json:"elementwise_loss,omitempty"`
	Entropy  *tensor[float64] `json:"entropy,omitempty"`
}

type forwardResponse struct {
	Type       string             `json:"type"`
	OutputType string             `json:"loss_fn_output_type"`
	Outputs    []forwardOutput    `json:"loss_fn_outputs"`
	Metrics    map[string]float64 `json:"metrics"`
}

type adamParams struct {
	LearningRate float64 `json:"learning_rate"`
	Beta1        float64 `json:"beta1"`
	Beta2        float64 `json:"beta2"`
	Eps          float64 `json:"eps"`
	WeightDecay  float64 `json:"weight_decay"`
	ClipNorm     float64 `json:"grad_clip_norm"`
}

type optimRequest struct {
	ModelID string     `json:"model_id"`
	Adam    adamParams `json:"adam_params"`
	SeqID   int64      `json:"seq_id,omitempty"`
	Type    string     `json:"type,omitempty"`
}

type optimResponse struct {
	Type    string             `json:"type"`
	Metrics map[string]float64 `json:"metrics"`
}

type weightsRequest struct {
	ModelID   string `json:"model_id"`
	Path      string `json:"path"`
	Optimizer *bool  `json:"optimizer,omitempty"` // of load_weights; default true
	SeqID     int64  `json:"seq_id,omitempty"`
	Type      string `json:"type,omitempty"`
}

type weightsResponse struct {
	Type string `json:"type"`
	Path string `json:"path"`
}

type samplingParams struct {
	MaxTokens   int     `json:"max_tokens"`
	Temperature float64 `json:"temperature"`
	TopP        float64 `json:"top_p"`
	TopK        int     `json:"top_k"`
	Seed        *int64  `json:"seed,omitempty"`
	Stop        []int32 `json:"stop,omitempty"`
}

type sampleRequest struct {
	ModelPath      string         `json:"model_path,omitempty"`
	SessionID      string         `json:"sampling_session_id,omitempty"`
	Prompt         modelInput     `json:"prompt"`
	Count          int            `json:"num_samples"`
	Params         samplingParams `json:"sampling_params"`
	PromptLogProbs bool           `json:"prompt_logprobs"`
	SeqID          int64          `json:"seq_id,omitempty"`
	Type           string         `json:"type,omitempty"`
}

type sequence struct {
	Tokens   []int32   `json:"tokens"`
	LogProbs []float64 `json:"logprobs"`
	Stop     string    `json:"stop_reason"`
}

type sampleResponse struct {
	Type           string     `json:"type"`
	Sequences      []sequence `json:"sequences"`
	PromptLogProbs []*float64 `json:"prompt_logprobs,omitempty"`
}

type samplingSessionRequest struct {
	SessionID string `json:"session_id,omitempty"`
	ModelPath string `json:"model_path"`
	Type      string `json:"type,omitempty"`
}

type samplingSessionResponse struct {
	Type      string `json:"type"`
	SessionID string `json:"sampling_session_id"`
}

type futureResponse struct {
	RequestID string `json:"request_id"`
	FutureID  string `json:"future_id"`
	ModelID   string `json:"model_id,omitempty"`
	Status    string `json:"status"`
}

type futureRequest struct {
	RequestID string `json:"request_id"`
}

// pending is the answer of retrieve_future while a call is under way.
const pending = "try_again"

// failure is how a call ended that failed. Detail is where SkyRL's server puts the message.
type failure struct {
	Type     string `json:"type"`
	Error    string `json:"error"`
	Category string `json:"category"`       // user or server
	Kind     string `json:"kind,omitempty"` // ours: which error of package engine
	Detail   any    `json:"detail,omitempty"`
}

// errorKinds name the errors of package engine on the wire.
var errorKinds = []struct {
	kind string
	err  error
}{
	{"unsupported", engine.ErrUnsupported}, // before input, which it is also
	{"input", engine.ErrInput},
	{"not_found", engine.ErrNotFound},
	{"not_finite", engine.ErrNotFinite},
	{"no_gradient", engine.ErrNoGradient},
}

// failed describes an error to a client.
func failed(err error) failure {
	f := failure{Type: "request_failed", Error: err.Error(), Category: "server"}
	for _, k := range errorKinds {
		if errors.Is(err, k.err) {
			f.Kind, f.Category = k.kind, "user"
			break
		}
	}
	return f
}

// err is what a client makes of a description.
func (f failure) err(verb string) error {
	msg := f.Error
	if msg == "" && f.Detail != nil {
		msg = fmt.Sprint(f.Detail)
	}
	for _, k := range errorKinds {
		if k.kind == f.Kind {
			if k.kind == "unsupported" {
				return fmt.Errorf("%s: server: %s (%w, %w)", verb, msg, engine.ErrUnsupported, engine.ErrInput)
			}
			return fmt.Errorf("%s: server: %s (%w)", verb, msg, k.err)
		}
	}
	if f.Category == "user" {
		return fmt.Errorf("%s: server: %s (%w)", verb, msg, engine.ErrInput)
	}
	return fmt.Errorf("%s: server: %s", verb, msg)
}

// decode reads JSON that nobody has vouched for: strictly as text, with keys that the type does not have let pass.
func decode(b []byte, v any) error {
	if err := proviso.CheckResultJSON(b); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

package train

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
)

// Metrics is one line of metrics.jsonl: what an optimizer step did. Divergences and entropy are in nats per token, means over the tokens that count. Times are the only keys that differ between two runs of one seed.
type Metrics struct {
	Step         int     `json:"step"` // of the run, from 1; a batch with nothing to learn takes none, and repeats the number before
	Stage        string  `json:"stage"`
	Kind         string  `json:"kind"`       // of the stage
	StageStep    int     `json:"stage_step"` // batches of the stage, from 1
	StageSteps   int     `json:"stage_steps"`
	Epoch        float64 `json:"epoch"`
	Loss         float64 `json:"loss"`
	Reward       float64 `json:"reward"`
	Cost         float64 `json:"cost"`
	Entropy      float64 `json:"entropy"`
	RefKL        float64 `json:"ref_kl"`
	OldKL        float64 `json:"old_kl"`
	ClipShare    float64 `json:"clip_share"`
	MaxRatio     float64 `json:"max_ratio"`
	Margin       float64 `json:"margin"`
	Accuracy     float64 `json:"accuracy"`
	Constant     float64 `json:"constant"` // share of groups whose rewards are all equal
	Unjudged     int     `json:"unjudged"`
	GradNorm     float64 `json:"grad_norm"`
	LearningRate float64 `json:"learning_rate"`
	Lambda       float64 `json:"lambda"`         // multiplier of the cost
	KLWeight     float64 `json:"kl_coefficient"` // of the divergence from the reference, where it follows a target
	Tokens       int64   `json:"tokens"`         // read by the engine so far, all passes
	Skipped      bool    `json:"skipped"`
	// Digest identifies what the step was taken for: the settings of the stage with its rules of reward, and the data with the texts of the policy. The weights are those of Step.
	Digest string `json:"digest"`
	// Violations are invariants that do not hold and do not forbid the step.
	Violations []string `json:"violations,omitempty"`

	TokensPerSecond float64 `json:"tokens_per_second"`
	Seconds         float64 `json:"seconds"` // since the run began or was resumed
}

// values are the numbers that curves are drawn of, by the names of their keys. A batch with nothing to learn has few.
func (m *Metrics) values() []namedValue {
	if m.Skipped {
		return []namedValue{{"reward", m.Reward}, {"constant", m.Constant}}
	}
	return []namedValue{
		{"loss", m.Loss}, {"reward", m.Reward}, {"cost", m.Cost}, {"entropy", m.Entropy}, {"ref_kl", m.RefKL}, {"old_kl", m.OldKL}, {"clip_share", m.ClipShare}, {"max_ratio", m.MaxRatio},
		{"margin", m.Margin}, {"accuracy", m.Accuracy}, {"constant", m.Constant}, {"grad_norm", m.GradNorm}, {"learning_rate", m.LearningRate}, {"lambda", m.Lambda}, {"kl_coefficient", m.KLWeight}, {"tokens_per_second", m.TokensPerSecond},
	}
}

// recorder appends to the files of a run.
type recorder struct {
	lines, events         *os.File
	linesSize, eventsSize int64
}

const (
	metricsFile = "metrics.jsonl"
	eventsFile  = "events.out.tfevents.proviso"
)

// openRecorder opens the files of a run and cuts them back to a checkpoint's sizes, so that no step stands there twice. Both sizes 0 begin anew.
func openRecorder(dir string, linesSize, eventsSize int64, now time.Time) (*recorder, error) {
	r := &recorder{linesSize: linesSize, eventsSize: eventsSize}
	for _, f := range []struct {
		to   **os.File
		name string
		size int64
	}{{&r.lines, metricsFile, linesSize}, {&r.events, eventsFile, eventsSize}} {
		file, err := os.OpenFile(filepath.Join(dir, f.name), os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
		*f.to = file
		if err := errors.Join(file.Truncate(f.size), seekEnd(file)); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	if eventsSize == 0 {
		return r, r.event(appendEvent(nil, now, 0, eventVersion, nil))
	}
	return r, nil
}

func seekEnd(f *os.File) error {
	_, err := f.Seek(0, io.SeekEnd)
	return err
}

// write appends one step.
func (r *recorder) write(m *Metrics, now time.Time) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	n, err := r.lines.Write(append(b, '\n'))
	r.linesSize += int64(n)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	var values []byte
	for _, v := range m.values() {
		values = appendValue(values, m.Stage+"/"+v.Name, v.Value)
	}
	return r.event(appendEvent(nil, now, int64(m.Step), "", values))
}

func (r *recorder) event(data []byte) error {
	n, err := r.events.Write(appendRecord(nil, data))
	r.eventsSize += int64(n)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

func (r *recorder) sync() error  { return errors.Join(r.lines.Sync(), r.events.Sync()) }
func (r *recorder) close() error { return errors.Join(r.lines.Close(), r.events.Close()) }

// The format of TensorBoard's event files: records of length, masked CRC-32C of the length, data, masked CRC-32C of the data, all little-endian; data is an Event message in protocol buffers'
// encoding (tensorflow/core/util/event.proto: 1 wall_time double, 2 step int64, 3 file_version string, 5 summary; summary.proto: 1 value {1 tag string, 2 simple_value float}).
const eventVersion = "brain.Event:2"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func maskedCRC(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

func appendRecord(b, data []byte) []byte {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	b = append(b, length...)
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(length))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, maskedCRC(data))
}

// The wire types of protocol buffers.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

func appendTag(b []byte, field, wire int) []byte {
	return binary.AppendUvarint(b, uint64(field<<3|wire))
}

func appendBytes(b []byte, field int, data []byte) []byte {
	b = binary.AppendUvarint(appendTag(b, field, wireBytes), uint64(len(data)))
	return append(b, data...)
}

func appendValue(b []byte, tag string, value float64) []byte {
	v := appendBytes(nil, 1, []byte(tag))
	v = binary.LittleEndian.AppendUint32(appendTag(v, 2, wire32), math.Float32bits(float32(value)))
	return appendBytes(b, 1, v)
}

func appendEvent(b []byte, at time.Time, step int64, version string, values []byte) []byte {
	b = binary.LittleEndian.AppendUint64(appendTag(b, 1, wire64), math.Float64bits(float64(at.UnixNano())/1e9))
	if step != 0 {
		b = binary.AppendUvarint(appendTag(b, 2, wireVarint), uint64(step))
	}
	if version != "" {
		b = appendBytes(b, 3, []byte(version))
	}
	if values != nil {
		b = appendBytes(b, 5, values)
	}
	return b
}

// ReadMetrics reads the metrics of a run's folder. A last line that was cut off by a kill is left out.
func ReadMetrics(dir string) ([]Metrics, error) {
	name := filepath.Join(dir, metricsFile)
	f, err := os.Open(name)
	if err != nil {
		return nil, proviso.Diagnostic{Pos: proviso.Pos{File: name}, Code: CodeResume, Msg: "the metrics cannot be read: " + plainError(err), Hint: "name the folder of a run"}
	}
	defer f.Close()
	r := bufio.NewReader(f)
	var out []Metrics
	for line := 1; ; line++ {
		b, err := readLine(r)
		whole := strings.HasSuffix(string(b), "\n")
		if whole {
			var m Metrics
			if err := proviso.DecodeStrict(b, &m); err != nil {
				return nil, proviso.Diagnostic{Pos: proviso.Pos{File: name, Line: line}, Code: CodeResume, Msg: err.Error()}
			}
			out = append(out, m)
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, proviso.Diagnostic{Pos: proviso.Pos{File: name, Line: line}, Code: CodeResume, Msg: err.Error()}
		}
	}
}

// plainError leaves the path out, which the position says already.
func plainError(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

package lsp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/proviso-dev/proviso"
)

// Serve answers the messages on in until the client says exit, in ends, or ctx does. Version is what the client is told of the program.
//
// The error is nil after an exit that a shutdown came before. A message that cannot be understood is answered with an error and does not end the server; a stream in which messages cannot be told apart does.
func Serve(ctx context.Context, in io.Reader, out io.Writer, version string) error {
	s := &server{out: out, version: version, texts: map[string]string{}, packs: map[string]*analysis{}, dirty: map[string]bool{}, told: map[string]map[string]bool{}}
	messages, failed := make(chan []byte, 64), make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		r := bufio.NewReaderSize(in, maxHeader)
		for {
			b, err := readFrame(r)
			if err != nil {
				failed <- err
				return
			}
			select {
			case messages <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	for !s.ended {
		var b []byte
		select {
		case b = <-messages:
		default:
			s.analyse()
			select {
			case b = <-messages:
			case err := <-failed:
				for len(messages) > 0 && !s.ended { // what arrived before the end is answered
					s.message(<-messages)
				}
				switch {
				case s.ended:
					continue
				case errors.Is(err, io.EOF):
					return errors.New("the client went away without a word")
				}
				return fmt.Errorf("the messages cannot be read: %w", err)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if s.message(b); s.broken != nil {
			return fmt.Errorf("the client cannot be reached: %w", s.broken)
		}
	}
	if !s.down {
		return errors.New("the client said exit without shutdown")
	}
	return nil
}

// server is one connection.
type server struct {
	out     io.Writer
	version string
	broken  error
	begun   bool
	down    bool
	ended   bool
	texts   map[string]string          // what is open in the editor, by path
	packs   map[string]*analysis       // by folder
	dirty   map[string]bool            // folders that have to be analysed again
	told    map[string]map[string]bool // by folder, the files that the client holds findings of
}

// The error codes of JSON-RPC and of the protocol.
const (
	parseError     = -32700
	invalidRequest = -32600
	methodNotFound = -32601
	invalidParams  = -32602
	notInitialized = -32002
)

// fault is an error that a client is answered.
type fault struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// params are the decoded parameters of a message.
type params map[string]any

// at follows names into the parameters; what is not there is nil.
func (p params) at(names ...string) any {
	var v any = map[string]any(p)
	for _, n := range names {
		m, _ := v.(map[string]any)
		v = m[n]
	}
	return v
}

func (p params) text(names ...string) string {
	s, _ := p.at(names...).(string)
	return s
}

// file is the file that the message speaks of; ok is false where it names none.
func (p params) file() (name string, ok bool) { return pathOf(p.text("textDocument", "uri")) }

// place is the place that the message speaks of.
func (p params) place(names ...string) position {
	line, _ := p.at(append(slices.Clone(names), "line")...).(int64)
	character, _ := p.at(append(slices.Clone(names), "character")...).(int64)
	return position{int(max(0, min(line, maxMessage))), int(max(0, min(character, maxMessage)))}
}

// requests are answered, notifications are not.
var (
	requests = map[string]func(*server, params) (any, *fault){
		"initialize": (*server).initialize, "shutdown": (*server).shutdown,
		"textDocument/hover": (*server).hover, "textDocument/definition": (*server).definition, "textDocument/completion": (*server).completion,
		"textDocument/codeLens": (*server).lenses, "workspace/executeCommand": (*server).execute,
	}
	notifications = map[string]func(*server, params){
		"initialized": func(*server, params) {}, "$/cancelRequest": func(*server, params) {}, "$/setTrace": func(*server, params) {},
		"textDocument/didOpen": (*server).didOpen, "textDocument/didChange": (*server).didChange, "textDocument/didClose": (*server).didClose, "textDocument/didSave": (*server).touched,
		"workspace/didChangeWatchedFiles": (*server).watched, "workspace/didChangeConfiguration": func(*server, params) {},
	}
)

// message carries one message out.
func (s *server) message(b []byte) {
	v, err := proviso.DecodeJSON(b)
	m, isObject := v.(map[string]any)
	method, isText := m["method"].(string)
	id, isRequest := m["id"]
	switch id.(type) {
	case nil, string, int64:
	default:
		id, isObject = nil, false
	}
	switch {
	case err != nil:
		s.answer(nil, nil, &fault{parseError, err.Error()})
		return
	case !isObject || !isText && m["result"] == nil && m["error"] == nil:
		s.answer(id, nil, &fault{invalidRequest, "want an object with method"})
		return
	case !isText: // the answer to a request of ours, of which there are none
		return
	}
	p, _ := m["params"].(map[string]any)
	if !isRequest {
		if method == "exit" {
			s.ended = true
		} else if f := notifications[method]; f != nil && s.begun && !s.down {
			f(s, p)
		}
		return
	}
	f := requests[method]
	switch {
	case !s.begun && method != "initialize":
		s.answer(id, nil, &fault{notInitialized, "initialize comes first"})
	case s.down || s.begun && method == "initialize":
		s.answer(id, nil, &fault{invalidRequest, method + " is too late"})
	case f == nil:
		s.answer(id, nil, &fault{methodNotFound, "no method " + method})
	default:
		result, wrong := f(s, p)
		s.answer(id, result, wrong)
	}
}

func (s *server) answer(id, result any, wrong *fault) {
	m := map[string]any{"jsonrpc": "2.0", "id": id}
	if wrong != nil {
		m["error"] = wrong
	} else {
		m["result"] = result
	}
	s.send(m)
}

func (s *server) notify(method string, p any) {
	s.send(map[string]any{"jsonrpc": "2.0", "method": method, "params": p})
}

func (s *server) send(m map[string]any) {
	b, err := json.Marshal(m)
	if err == nil {
		err = writeFrame(s.out, b)
	}
	if err != nil && s.broken == nil {
		s.broken = err
	}
}

func (s *server) initialize(params) (any, *fault) {
	s.begun = true
	return map[string]any{
		"capabilities": map[string]any{
			"positionEncoding":       "utf-16",
			"textDocumentSync":       map[string]any{"openClose": true, "change": 2, "save": true},
			"hoverProvider":          true,
			"definitionProvider":     true,
			"completionProvider":     map[string]any{"triggerCharacters": []string{".", "["}},
			"codeLensProvider":       map[string]any{},
			"executeCommandProvider": map[string]any{"commands": []string{runTest}},
		},
		"serverInfo": map[string]any{"name": "proviso", "version": s.version},
	}, nil
}

func (s *server) shutdown(params) (any, *fault) {
	s.down = true
	return nil, nil
}

// stale marks the pack of a file to be analysed again.
func (s *server) stale(file string) {
	if root := s.rootOf(file); root != "" {
		s.dirty[root] = true
	}
}

func (s *server) didOpen(p params) {
	if file, ok := p.file(); ok {
		s.texts[file] = p.text("textDocument", "text")
		s.stale(file)
	}
}

// didChange applies changes in order. One without a range is the whole text; places that do not exist are the nearest that do.
func (s *server) didChange(p params) {
	file, ok := p.file()
	text, open := s.texts[file]
	if !ok || !open {
		return
	}
	changes, _ := p["contentChanges"].([]any)
	for _, c := range changes {
		change, _ := c.(map[string]any)
		replacement, isText := change["text"].(string)
		if !isText {
			continue
		}
		if change["range"] == nil {
			text = replacement
			continue
		}
		from, to := offset(text, params(change).place("range", "start")), offset(text, params(change).place("range", "end"))
		text = text[:min(from, to)] + replacement + text[max(from, to):]
	}
	s.texts[file] = text
	s.stale(file)
}

func (s *server) didClose(p params) {
	if file, ok := p.file(); ok {
		s.stale(file)
		delete(s.texts, file)
		s.stale(file)
	}
}

func (s *server) touched(p params) {
	if file, ok := p.file(); ok {
		s.stale(file)
	}
}

func (s *server) watched(p params) {
	list, _ := p["changes"].([]any)
	for _, c := range list {
		change, _ := c.(map[string]any)
		if file, ok := pathOf(params(change).text("uri")); ok {
			s.stale(file)
		}
	}
}

// of is the analysis of the pack that a file belongs to, up to date, with the file's name in it; nil where it belongs to none.
func (s *server) of(file string) (a *analysis, name string) {
	root := s.rootOf(file)
	if root == "" {
		return nil, ""
	}
	if s.packs[root] == nil {
		s.dirty[root] = true
	}
	s.analyse()
	rel, err := filepath.Rel(root, file)
	if err != nil {
		return nil, ""
	}
	return s.packs[root], filepath.ToSlash(rel)
}

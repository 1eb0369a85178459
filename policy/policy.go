// Package policy loads policy packs, compiles them and decides: the pure heart of Proviso.
package policy

import (
	"io/fs"

	"github.com/proviso-dev/proviso"
)

// Load reads a pack from the folder dir of fsys. All findings are returned, sorted by position; the pack is nil only where nothing could be read.
func Load(fsys fs.FS, dir string) (*Pack, proviso.Diagnostics) { panic("stub") }

// Compile joins packs of any ranks into one policy. The policy is nil where a diagnostic of severity Error was found.
func Compile(packs ...*Pack) (*Policy, proviso.Diagnostics) { panic("stub") }

// Policy is a compiled policy: immutable, safe for concurrent use.
type Policy struct {
}

// Digest identifies clauses, tools, rules and tables; not tests, comments or order.
func (p *Policy) Digest() string { panic("stub") }

// Facts returns the compiled facts; their index is the number that Facts.Fact is asked for.
func (p *Policy) Facts() []FactInfo { panic("stub") }

// FactInfo is what a session has to know of a fact.
type FactInfo struct {
	Name      string
	Keys      []string // names of the key parts
	KeepFirst bool
}

// Queries returns the questions about the past that the conditions ask.
func (p *Policy) Queries() []Query { panic("stub") }

// Input is an event bound to a policy: arguments decoded by the strict decoder, defaults filled in, values converted to their schema.
// Everything derived from it is decided on exactly these bytes.
type Input struct {
	Event *proviso.Event
	Args  map[string]any // of a tool call, or of the call that a result answers
	Raw   map[string]any // the arguments as decoded, before conversion; owned by the input
	Value any            // the converted result of a tool result
	Text  string         // the text of a message, request, response or textual result
	Hash  string         // hex SHA-256 over tool and canonical arguments; empty where the arguments could not be decoded
	Fault *proviso.Fault // what was wrong with the bytes; a call with a fault is denied
}

// Tool is the name of the tool called, or of the tool whose result this is.
func (in *Input) Tool() string { panic("stub") }

// Bind decodes and converts an event. call is the bound call that a tool result answers, and nil otherwise.
func (p *Policy) Bind(ev *proviso.Event, call *Input) *Input { panic("stub") }

// Decide says what the policy permits. It never fails: whatever goes wrong is named in Errors and restricts.
func (p *Policy) Decide(in *Input, v *View) proviso.Decision { panic("stub") }

// Observe returns the facts that a bound result supplies, converted to their schemas. It returns none for an error result.
func (p *Policy) Observe(in *Input) []proviso.FactValue { panic("stub") }

// Spoils returns the fact entries that the release of a bound call makes stale.
func (p *Policy) Spoils(in *Input) []proviso.FactKey { panic("stub") }

// KeyArguments returns the values that a proposal of the call must name before a user can confirm it, by argument name:
// those that the pack lists, else every required string and number and every member of a list of those.
func (p *Policy) KeyArguments(in *Input) map[string][]any { panic("stub") }

// ScopeMoves returns the names of scopes that the event pushes, and whether it pops the top scope named in top.
func (p *Policy) ScopeMoves(in *Input, top string) (push []string, pop bool) { panic("stub") }

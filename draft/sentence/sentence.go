// Package sentence reads English sentences of policies with a small grammar: who may, must or must not do what with what, under which condition and for which purpose.
//
// It knows the closed classes of English (articles, prepositions, auxiliaries, conjunctions), the spelling of regular forms, and a short list of verbs that policies use;
// everything else is found by its place in the sentence. Read says what it took for what, and names what it could not read, so that a person can look there.
// Verify goes the other way: it compares rules with the sentence that they were made of, and names the one thing that is wrong with them.
package sentence

// Form says what kind of sentence a text is.
type Form uint8

// The forms. Fragment is the zero value: a heading or a piece without a verb that the grammar finds.
const (
	Fragment  Form = iota
	About          // it speaks of the document itself, or of the steps of a procedure
	State          // it says how something is, or that something is shown or kept
	Change         // something is done to something, and nobody is named who does it
	Act            // somebody does something
	Permit         // somebody may do something
	Oblige         // something must be done
	Forbid         // something must not be done
	formCount = iota
)

// String returns the form in lower case.
func (f Form) String() string {
	return [formCount]string{"fragment", "about", "state", "change", "act", "permit", "oblige", "forbid"}[f]
}

// Bearing reports whether a sentence of this form states a rule: who may, must or must not do what.
func (f Form) Bearing() bool { return f >= Change }

// Rule is one rule that a sentence states, in words. Subject is who acts, Action the verb in its base form, Resource what it is done to; Purpose and Condition are as the sentence has them.
// An empty field is not stated. Phrases are in lower case, without articles.
type Rule struct {
	Deny                      bool
	Subject, Action, Resource string
	Purpose, Condition        string
}

// Link says how a condition is tied to what it is about.
type Link uint8

// The links. If is the zero value.
const (
	If        Link = iota // holds where the condition holds; when, once, provided
	Only                  // only where the condition holds
	Unless                // except where the condition holds
	Before                // first what the condition names, then the action
	After                 // the action only behind what the condition names
	Ahead                 // the action before what the condition names: it comes first
	linkCount = iota
)

// String returns the link in lower case.
func (l Link) String() string {
	return [linkCount]string{"if", "only if", "unless", "before", "after", "ahead of"}[l]
}

// Condition is one condition of a sentence, in the sentence's words.
type Condition struct {
	Link       Link
	Text       string
	Start, End int // bytes of the sentence
}

// Bound says which side of a number a limit is.
type Bound uint8

// The bounds. AtMost is the zero value.
const (
	AtMost Bound = iota
	Below
	AtLeast
	Above
	Exactly
)

// String returns the comparison that a value within the bound satisfies, as CEL writes it.
func (b Bound) String() string { return [...]string{"<=", "<", ">=", ">", "=="}[b] }

// Limit is a number that a sentence states. Unit is the noun behind it, in the singular: "hour", "passenger", "eur", or "time" where the action itself is counted.
// Since is what a span of time is counted from, or until where Ahead is set: "within 24 hours of booking", "two hours before the departure".
type Limit struct {
	Bound      Bound
	Number     string // decimal
	Unit       string
	Since      string
	Ahead      bool
	Each       string // "for each passenger" → passenger
	Start, End int
}

// Reading is what was understood of a sentence.
type Reading struct {
	Form       Form
	Rules      []Rule
	Conditions []Condition
	Limits     []Limit
	Confirm    bool     // somebody's agreement is wanted first
	OnlyWho    bool     // "only the registrar may": nobody else
	Each       string   // what the sentence is said of, one by one
	Which      []string // relative clauses that narrow what the sentence is about: "that is flown"
	Unread     []string
}

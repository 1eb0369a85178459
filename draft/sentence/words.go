package sentence

import (
	"slices"
	"strings"
	"sync"
)

// words is a closed class of words.
type words struct {
	list string
	once sync.Once
	set  map[string]bool
}

// class is the words of a list. The set of them is made when it is first asked.
func class(list string) *words { return &words{list: list} }

func (w *words) has(s string) bool {
	w.once.Do(w.make)
	return w.set[s]
}

func (w *words) make() {
	w.set = map[string]bool{}
	for _, x := range strings.Fields(w.list) {
		w.set[x] = true
	}
}

// in reports whether a token is a word of the class.
func (w *words) in(t token) bool { return t.kind == word && w.has(t.low) }

// The closed classes of English that the grammar reads by name.
var (
	determiners = class("a an the this that these those his her its their our your my each every any all some no both either neither another only such one two three four five six seven eight nine ten its'")
	// vague words of quantity or choice stand in front of a noun and say nothing about what it is.
	vague        = class("particular specific certain different additional various new existing appropriate desired possible necessary multiple many several other further given")
	pronouns     = class("he she it they them him himself herself itself themselves you we us i nobody nothing somebody someone anyone anybody everyone everybody who")
	modals       = class("can may must shall should will would could cannot might can't won't mustn't shouldn't")
	bans         = class("cannot can't won't mustn't shouldn't")
	negations    = class("not never no n't neither nor")
	beings       = class("is are was were be been being isn't aren't wasn't weren't")
	havings      = class("has have had hasn't haven't")
	doings       = class("do does did don't doesn't didn't")
	conjunctions = class("and or nor then & plus")
	prepositions = class("in on at by for from with without to into onto under over between among through during within after before about against per via upon out off up down as of like than beside besides below above behind near across along around since until toward towards beyond because regardless")
	relatives    = class("that which who whom whose where")
	adverbs      = class("then also only often already always never usually optionally initially currently previously automatically again further possibly immediately first next finally simply just still typically generally normally otherwise therefore however instead additionally proactively later no longer exactly")
	participles  = class("including containing regarding concerning according being using based such except")
	// subordinators begin a clause of condition.
	subordinators = class("if when whenever once unless while after before until where provided")
	sayers        = class("document specification requirement section project product chapter clause policy purpose glossary flow subflow sub-flow sub-flows")
	// stative verbs say what is, not what somebody does.
	statives = class("be have include contain support apply define describe list run become comprise consist integrate conform exist need serve continue mean depend occur start begin end terminate keep capture")
	// showing are verbs of appearance and of keeping books: what is shown or stored of itself, without anybody who does it, is not an act that could be permitted.
	showing = class("sort bold highlight title rank order color colour list mark store save log record analyze summarize populate execute start end terminate show display indicate count associate replace")
	// granting verbs give somebody the power to do something: X allows Y to do Z.
	granting = class("allow enable permit let prompt ask authorize authorise entitle invite")
	// wishing verbs lead to the verb that matters: Y wishes to do Z.
	wishing  = class("wish want choose decide need attempt try have intend able like")
	yielding = class("allowed permitted able authorized authorised entitled enabled unable")
	refusing = class("forbidden prohibited unable barred")
	owing    = class("required obliged expected supposed")
)

// verbs are verbs of requirements and of policies, by their base form, so that a noun with an s can be told from a verb. A verb that is not here is recognised by its place.
var verbs = class(`accept access acknowledge act activate add adjust advise agree allow answer appear apply appoint approve archive arrange ask assess assign attach audit authenticate authorize award block book borrow browse buy calculate call cancel capture carry change charge check choose choose claim clear click close collect combine comment commit compare complete comply conduct confirm connect consent contact contain continue contribute control copy correct create decide declare define delete deliver demand deny deposit describe designate destroy detail determine disable disallow disclose discuss display distribute document download edit email enable encrypt end enforce enroll ensure enter erase escalate establish evaluate examine exceed exchange exclude execute exist expire explain export extend file fill filter find finish fix follow forward generate give grant guarantee handle help hide highlight hold identify ignore import include indicate inform initiate input insert inspect install invite issue join keep label leave lend let limit link list load lock log look lose maintain make manage mark match meet modify monitor move name need note notify obtain offer open operate order override own pay perform permit pick place post prepare prescribe present prevent print process produce prohibit prompt propose protect provide publish purchase put query quote rank rate read receive recommend record refer refuse register reject release remind remove rename renew rent repair repeat replace reply report represent request require reschedule reserve reset resolve respond restrict retrieve return review revoke save scan schedule search see select sell send set share ship show sign sort specify start state stay stop store submit subscribe supply support suspend take teach tell terminate test tell track train transfer transmit treat try type undo unlock update upgrade upload use validate verify view visit wait waive want warn wish withdraw work write administer bill serve teach log determine disallow obtain assign allow sort diagnose consult treat prompt present refund compensate offer speak spend live reside earn study travel drive belong`)

// irregular participles and past forms, by their base form.
var irregular = map[string]string{
	"sent": "send", "made": "make", "given": "give", "gave": "give", "taken": "take", "took": "take", "chosen": "choose", "shown": "show", "seen": "see", "known": "know",
	"held": "hold", "kept": "keep", "met": "meet", "paid": "pay", "sold": "sell", "told": "tell", "written": "write", "done": "do", "set": "set", "put": "put", "begun": "begin",
	"found": "find", "got": "get", "built": "build", "brought": "bring", "bought": "buy", "left": "leave", "lost": "lose", "read": "read", "run": "run", "said": "say",
	"withdrawn": "withdraw", "drawn": "draw", "broken": "break", "hidden": "hide", "let": "let", "cut": "cut", "undone": "undo", "taught": "teach", "flown": "fly", "spent": "spend",
	"issued": "issue", "lent": "lend", "hurt": "hurt", "gone": "go", "born": "bear", "stolen": "steal", "forgotten": "forget", "been": "be", "had": "have", "overridden": "override",
}

// Singular returns the singular of a noun in lower case, by the spelling alone.
func Singular(w string) string {
	switch {
	case len(w) < 4 || strings.HasSuffix(w, "ss") || strings.HasSuffix(w, "us") || strings.HasSuffix(w, "is"):
		return w
	case strings.HasSuffix(w, "ies"):
		return w[:len(w)-3] + "y"
	case strings.HasSuffix(w, "sses"), strings.HasSuffix(w, "ches"), strings.HasSuffix(w, "shes"), strings.HasSuffix(w, "xes"):
		return w[:len(w)-2]
	case strings.HasSuffix(w, "s"):
		return w[:len(w)-1]
	}
	return w
}

// Base returns the base form of a verb in lower case: of views, viewing, viewed and sent.
func Base(w string) string {
	if b, ok := irregular[w]; ok {
		return b
	}
	if verbs.has(w) {
		return w
	}
	switch {
	case strings.HasSuffix(w, "ies"), strings.HasSuffix(w, "ied"):
		return w[:len(w)-3] + "y"
	case strings.HasSuffix(w, "ing") && len(w) > 5:
		return stemOf(w[:len(w)-3])
	case strings.HasSuffix(w, "ed") && len(w) > 4:
		return stemOf(w[:len(w)-2])
	case strings.HasSuffix(w, "es") && verbs.has(w[:len(w)-1]):
		return w[:len(w)-1]
	}
	return Singular(w)
}

// stemOf mends what is left of a verb without its ending: the e that went, the letter that was doubled.
func stemOf(s string) string {
	n := len(s)
	if verbs.has(s) {
		return s
	}
	if verbs.has(s + "e") {
		return s + "e"
	}
	if n > 2 && s[n-1] == s[n-2] && !strings.ContainsRune("lsz", rune(s[n-1])) || n > 2 && s[n-1] == s[n-2] && verbs.has(s[:n-1]) {
		return s[:n-1]
	}
	for _, end := range []string{"at", "iz", "is", "v", "c", "g", "u", "as", "os", "us", "ns", "rs", "ur", "ir"} {
		if strings.HasSuffix(s, end) {
			return s + "e"
		}
	}
	return s
}

// third reports whether a word can be a verb of the third person, and whether it is known as one.
func third(w string) (can, known bool) {
	if len(w) < 4 || !strings.HasSuffix(w, "s") || strings.HasSuffix(w, "ss") || strings.HasSuffix(w, "'s") || strings.HasSuffix(w, "us") {
		return false, false
	}
	return true, verbs.has(Base(w))
}

// participle reports whether a word can be a past participle.
func participle(t token) bool {
	return t.kind == word && (strings.HasSuffix(t.low, "ed") && len(t.low) > 3 || irregular[t.low] != "")
}

// Normal writes a phrase in the form in which phrases are compared: lower case, words in the singular, without determiners and punctuation.
func Normal(s string) string {
	var out []string
	for _, t := range scan(strings.ReplaceAll(s, "_", " ")) {
		switch t.kind {
		case quoted:
			out = append(out, strings.Fields(Normal(strings.Trim(t.text, "\"“”'‘’`")))...)
		case word, number:
			w := strings.TrimSuffix(strings.TrimSuffix(t.low, "'s"), "'")
			if w != "" && (!determiners.has(w) || len(w) > 5) && !slices.Contains([]string{"or", "and"}, w) {
				out = append(out, Singular(w))
			}
		}
	}
	return strings.Join(out, " ")
}

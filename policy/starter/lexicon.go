package starter

import (
	"strings"
	"sync"
)

// The tables of this file are the general English of tools and forms: verbs by what they do to the world, nouns by what they name.
// No entry is there for one tool. A word that is missing makes the stricter class.

// Effect says what a tool does to the world.
type Effect string

// The effects. The zero value is an effect that nobody recognised; it is ruled as strictly as one that cannot be undone.
const (
	Unclear Effect = ""
	Read    Effect = "read"   // looks something up and changes nothing
	Fetch   Effect = "fetch"  // reads what lies outside, and shows the outside the address that it asks for
	Create  Effect = "create" // makes something new that can be deleted again
	Update  Effect = "update" // changes what can be changed back
	Member  Effect = "member" // lets somebody in
	Send    Effect = "send"   // says something to somebody
	Share   Effect = "share"  // gives others access
	Pay     Effect = "pay"    // moves money or buys
	Book    Effect = "book"   // reserves at a third party's
	Delete  Effect = "delete" // takes away
	Secret  Effect = "secret" // changes what proves who the user is
	Run     Effect = "run"    // runs code or controls a machine
)

// verbLists are main verbs by effect.
var verbLists = map[Effect]string{
	Read: `get list read search find view show look lookup retrieve return query describe count check calculate compute verify validate inspect
		summarize summarise examine display report estimate compare translate see watch preview locate lookup identify determine tell provide detect
		analyze analyse explain enumerate grep stat head tail diff ls cat`,
	Fetch:  `fetch browse visit crawl scrape navigate`,
	Create: `create add make write save append insert generate schedule draft upload download copy compose record log store build new plan touch init import export archive`,
	Update: `update change modify edit rename reschedule adjust replace patch set move mark correct configure tag label pin assign alter extend fix rotate star flag merge apply commit toggle turn enable`,
	Member: `invite join enroll enrol register subscribe onboard admit`,
	Send:   `send email mail message dm reply respond forward post publish tweet notify broadcast announce comment submit text call contact push write_to remind`,
	Share:  `share grant allow permit authorize authorise expose delegate`,
	Pay:    `pay transfer purchase buy order charge refund donate invest withdraw deposit wire checkout tip sell trade bid settle issue exchange return_order`,
	Book:   `book reserve rent hire`,
	Delete: `delete remove erase purge drop destroy wipe clear trash discard terminate uninstall revoke kick ban cancel close unsubscribe truncate overwrite block disable deactivate suspend leave rm reject`,
	Run:    `run execute exec eval launch invoke deploy install start stop restart reboot shell kill spawn reset`,
}

var verbs = sync.OnceValue(func() map[string]Effect { return table(verbLists) })

// payNouns turn a verb that makes or sends something into one that pays.
var payNouns = set("money transaction payment transfer funds cash salary donation invoice bill purchase refund order")

// bookNouns turn a verb that makes something into one that reserves at a third party's.
var bookNouns = set("reservation booking ticket flight")

// accessNouns turn a verb that changes something into one that gives access.
var accessNouns = set("permission access role privilege acl visibility collaborator viewer editor owner public")

// secretNouns turn a verb that changes something into one that changes what proves who the user is.
var secretNouns = set("password passcode passphrase credential mfa 2fa otp")

// outsideNouns turn a read into one that shows the outside what it asks for.
var outsideNouns = set("webpage website web url http https internet online uri site")

// proseNouns name what holds other people's words at length: a read of one gives text that nobody has vouched for.
var proseNouns = set("file document note webpage website page article blog pdf transcript attachment")

// opinionNouns name what others think of something: the answer is filed under the names of things, and written by anybody.
var opinionNouns = set("review rating comment feedback opinion testimonial")

// finding are the verbs of reads that answer with names and numbers of what there is, not with its words.
var finding = set("list search find lookup locate count enumerate")

// Role says what an argument is for.
type Role string

// The roles, the strictest first. A string that nobody recognised is a Thing.
const (
	Credential Role = "credential" // proves who somebody is
	Command    Role = "command"    // is run
	Account    Role = "account"    // where money goes
	Recipient  Role = "recipient"  // who gets it
	URL        Role = "url"        // which place on the net
	Person     Role = "person"     // who it is about
	Channel    Role = "channel"    // where it is said
	Path       Role = "path"       // which file
	ID         Role = "id"         // which record
	Thing      Role = "thing"      // what it is done with, by name
	Amount     Role = "amount"     // how much
	Access     Role = "access"     // what others may then do
	Data       Role = "data"       // what is stored about the user
	Subject    Role = "subject"    // a short text
	Body       Role = "body"       // a long text
	Time       Role = "time"       // when
	Place      Role = "place"      // where
	Setting    Role = "setting"    // how: numbers, flags, choices
)

// strictness orders roles: where name and description disagree the earlier wins.
var strictness = []Role{Credential, Command, Account, Recipient, URL, Path, Channel, Access, Person, ID, Amount, Data, Body, Subject, Time, Place, Setting, Thing}

// nounLists are the nouns that name values, by role.
var nounLists = map[Role]string{
	Credential: `password passcode passphrase secret credential pin otp token apikey mfa 2fa cvv cvc ssn pw passwd`,
	Command:    `command cmd script code sql shell expression program argv`,
	Account:    `iban account bic swift payee beneficiary wallet card sortcode creditor`,
	Recipient:  `recipient to cc bcc addressee email participant attendee invitee receiver guest phone telephone mobile destination contact subscriber audience`,
	URL:        `url uri link website webpage webhook endpoint domain hostname host href site`,
	Path:       `path file filename directory folder filepath dir repository repo attachment`,
	Channel:    `channel room group chat conversation thread team workspace forum topic mailbox inbox`,
	Person:     `user member username person employee friend colleague customer patient student follower handle assignee owner sender`,
	ID:         `id identifier uuid guid ids reference ref number key no`,
	Amount:     `amount price sum total cost budget value quantity fee salary money payment rate balance tip`,
	Access:     `permission access role privilege visibility scope`,
	Data:       `street city zip postcode postal address country state surname firstname lastname birthday birthdate nationality gender profile bio`,
	Body:       `body content contents text message comment note notes description details html markdown caption reply post data payload query`,
	Subject:    `subject title heading headline reason memo summary label tag purpose remark`,
	Time:       `date time day start end deadline when until since timestamp datetime month year week hour minute duration from checkin checkout due timezone`,
	Place:      `location venue place`,
	Setting:    `n limit offset count page size max min sort order format language lang currency type mode status category filter flag priority color colour recurring recurrence unit top depth level`,
	Thing:      `mail letter hotel restaurant company product item flight car book name vehicle service plan event`,
}

var nouns = sync.OnceValue(func() map[string]Role { return table(nounLists) })

// pairs are roles of two words that say together what neither says alone.
var pairs = map[string]Role{
	"first name": Data, "last name": Data, "family name": Data, "given name": Data, "middle name": Data, "full name": Data,
	"email address": Recipient, "mail address": Recipient, "e mail": Recipient, "phone number": Recipient, "street address": Data, "postal address": Data, "home address": Data,
	"ip address": URL, "web address": URL, "account number": Account, "card number": Account, "account id": Account, "bank account": Account,
	"api key": Credential, "access token": Credential, "access key": Credential, "security code": Credential, "verification code": Credential,
	"file name": Path, "file id": ID, "user id": ID, "message id": ID, "email id": ID, "channel name": Channel, "user name": Person,
	"phone model": Thing, "zip code": Data, "postal code": Data, "country code": Setting, "currency code": Setting, "source code": Command,
	"start time": Time, "end time": Time, "user email": Recipient,
}

// textFields name the fields of a result that hold somebody's words rather than the name of something.
var textFields = strings.Fields("body content contents text message description details comment comments note notes summary review reviews caption bio snippet html markdown memo")

// table turns lists of words into one table. No word is listed twice; a test looks.
func table[T comparable](lists map[T]string) map[string]T {
	out := map[string]T{}
	for v, list := range lists {
		for w := range set(list) {
			out[w] = v
		}
	}
	return out
}

// asks are the words by which a user asks for an effect: what cannot be undone, and what names nobody, happens only where one of them was said.
var asks = map[Effect][]string{
	Create: {"create", "add", "make", "write", "save", "schedule", "book", "plan", "append", "put", "note", "draft", "invite", "record", "generate", "upload", "copy", "reminder"},
	Update: {"update", "change", "modify", "edit", "rename", "move", "reschedule", "adjust", "set", "correct", "fix", "replace", "mark", "switch", "turn", "increase", "decrease", "extend"},
	Member: {"invite", "add", "join", "enroll", "register", "include", "let", "bring"},
	Send:   {"send", "write", "tell", "message", "email", "mail", "reply", "respond", "forward", "post", "share", "notify", "inform", "ask", "answer", "remind", "announce", "publish", "congratulate", "invite", "submit"},
	Share:  {"share", "give", "grant", "allow", "access", "invite", "permission", "publish"},
	Pay:    {"pay", "send", "transfer", "refund", "buy", "purchase", "order", "wire", "donate", "reimburse", "settle", "exchange", "sell"},
	Book:   {"book", "reserve", "booking", "reservation", "rent", "hire"},
	Delete: {"delete", "remove", "erase", "cancel", "clear", "drop", "purge", "trash", "discard", "kick", "revoke", "close", "unsubscribe", "terminate", "clean", "empty", "block", "deactivate", "undo"},
	Secret: {"password", "passcode", "credential", "credentials", "login", "reset"},
	Run:    {"run", "execute", "build", "test", "install", "start", "stop", "deploy", "launch", "restart"},
}

package builtin

import (
	"encoding/base64"
	"math"
	"slices"
	"strings"
	"sync"
)

const secretKindsDoc = `Kinds: anthropic_key, assigned_secret, aws_access_key, aws_secret_key, azure_key, basic_auth, bearer_token, connection_string, crypto_key, gcp_key, github_token, gitlab_token,
huggingface_token, jwt, npm_token, one_time_code, openai_key, password, private_key, pypi_token, sendgrid_key, slack_token, stripe_key, telegram_token, twilio_key, url_credentials, vendor_token, webhook_url.`

// SecretFind lists the kinds of secrets in a text.
var SecretFind = &Func{
	Name: "secret.find",
	Doc: `The kinds of secrets that a text has, sorted, each once: keys and tokens by the form that their issuers give them, credentials by where they stand, and values assigned to names such as api_key that look random.
` + secretKindsDoc + `
A placeholder such as <token>, ${TOKEN} or xxxx is none. A secret without a form of its own that nothing announces is not found, nor one in an encoding other than JSON's escapes.
secret.find('export AWS_ACCESS_KEY_ID=AKIAQX7MFVZ2LT4WSN3P') // ['aws_access_key']
secret.find('db: postgres://app:s3cr3t-w0rd@db.example.com/app') // ['connection_string']
secret.find('commit 3f786850e387550fdab836ed7e6dc881de23001b') // []`,
	Overloads: []Overload{{ID: "proviso_secret_find", In: text, Out: texts, Eval: eval1(secretDetectors.found), Cost: detectCost}},
}

// SecretHas tells whether a text has a secret.
var SecretHas = &Func{
	Name: "secret.has",
	Doc: `Tells whether a text has a secret: of any kind, of one kind, or of one of several. The kinds are those of secret.find; another one is an error.
secret.has('my password is Tr0ub4dor&3') // true
secret.has('my password is Tr0ub4dor&3', 'jwt') // false
secret.has('-----BEGIN PRIVATE KEY-----', ['jwt', 'private_key']) // true
secret.has('…', 'pasword') // error: did you mean "password"?`,
	Overloads: hasOverloads("secret", secretDetectors),
}

var secretDetectors = family("secret", []detector{
	one("private_key", findPrivateKeys),
	one("jwt", findJWTs),
	{kinds: tokenKinds(), find: findTokens},
	one("telegram_token", findTelegram),
	one("vendor_token", findSuffixed),
	one("webhook_url", findWebhooks),
	{kinds: []string{"connection_string", "url_credentials"}, find: findURLCredentials},
	one("crypto_key", wholeWords(51, 52, func(s string) bool {
		return strings.IndexByte("5KL", s[0]) >= 0 && (base58Check(s, 33) || base58Check(s, 34))
	})),
	one("basic_auth", findBasicAuth),
	one("bearer_token", findBearer),
	{kinds: []string{"assigned_secret", "aws_secret_key", "azure_key", "connection_string", "password"}, find: findAssigned},
	announced("password", spokenPassword, "password", "passwort", "passphrase", "passcode", "pwd", "pw", "contraseña", "mot de passe", "kennwort", "credentials"),
	announced("one_time_code", digitsBetween(4, 8), "otp", "verification code", "one time code", "one time password", "one time passcode", "2fa code", "login code", "auth code", "passcode", "authentication code", "pin"),
})

// ---- tokens with a prefix

// token is the form of one issuer's tokens: a prefix and a body of letters, digits and marks.
type token struct {
	kind, prefix string
	marks        string
	least, most  int
}

// tokens is tried in order at the beginning of each word; of two prefixes that begin alike the longer stands first.
var tokens = []token{
	{"anthropic_key", "sk-ant-", "-_", 20, 250},
	{"aws_access_key", "AKIA", "", 16, 16}, {"aws_access_key", "ASIA", "", 16, 16}, {"aws_access_key", "ABIA", "", 16, 16}, {"aws_access_key", "ACCA", "", 16, 16},
	{"gcp_key", "AIza", "-_", 35, 35}, {"gcp_key", "GOCSPX-", "-_", 24, 32}, {"gcp_key", "ya29.", "-_.", 20, 1000},
	{"github_token", "ghp_", "", 36, 255}, {"github_token", "gho_", "", 36, 255}, {"github_token", "ghu_", "", 36, 255}, {"github_token", "ghs_", "", 36, 255}, {"github_token", "ghr_", "", 36, 255}, {"github_token", "github_pat_", "_", 22, 255},
	{"gitlab_token", "glpat-", "-_", 20, 300}, {"gitlab_token", "gldt-", "-_", 20, 300}, {"gitlab_token", "glrt-", "-_", 20, 300}, {"gitlab_token", "glptt-", "-_", 20, 300},
	{"huggingface_token", "hf_", "", 30, 64},
	{"npm_token", "npm_", "", 36, 36},
	{"openai_key", "sk-proj-", "-_", 20, 250}, {"openai_key", "sk-svcacct-", "-_", 20, 250}, {"openai_key", "sk-admin-", "-_", 20, 250}, {"vendor_token", "sk-or-v1-", "", 32, 128}, {"openai_key", "sk-", "", 32, 64},
	{"pypi_token", "pypi-", "-_", 32, 500},
	{"sendgrid_key", "SG.", "-_.", 40, 90},
	{"slack_token", "xoxb-", "-", 10, 255}, {"slack_token", "xoxp-", "-", 10, 255}, {"slack_token", "xoxa-", "-", 10, 255}, {"slack_token", "xoxr-", "-", 10, 255}, {"slack_token", "xoxs-", "-", 10, 255}, {"slack_token", "xoxe", "-.", 10, 255}, {"slack_token", "xoxc-", "-", 10, 255}, {"slack_token", "xoxd-", "-_%", 10, 500}, {"slack_token", "xapp-", "-", 10, 255},
	{"stripe_key", "sk_live_", "", 10, 255}, {"stripe_key", "sk_test_", "", 10, 255}, {"stripe_key", "rk_live_", "", 10, 255}, {"stripe_key", "rk_test_", "", 10, 255}, {"stripe_key", "whsec_", "", 24, 80},
	{"twilio_key", "SK", "", 32, 32},
	{"vendor_token", "EAA", "", 80, 300}, {"vendor_token", "sl.", "-_", 120, 1400}, {"vendor_token", "AAAAAAAAAAAAAAAAAAAAA", "%", 40, 200}, // Facebook, Dropbox, Twitter
	{"vendor_token", "amzn.mws.", "-", 36, 36}, {"vendor_token", "HRKU-", "-_", 36, 70}, {"vendor_token", "pat", ".", 79, 79}, // Amazon, Heroku, Airtable
	{"vendor_token", "key-", "", 32, 32},                                                                                      // Mailgun
	{"vendor_token", "dop_v1_", "", 40, 80}, {"vendor_token", "doo_v1_", "", 40, 80}, {"vendor_token", "dor_v1_", "", 40, 80}, // DigitalOcean
	{"vendor_token", "shpat_", "", 32, 40}, {"vendor_token", "shpss_", "", 32, 40}, {"vendor_token", "shpca_", "", 32, 40}, {"vendor_token", "shppa_", "", 32, 40}, // Shopify
	{"vendor_token", "dapi", "", 32, 36},                                                                                                                            // Databricks
	{"vendor_token", "PMAK-", "-", 50, 70}, {"vendor_token", "NRAK-", "", 24, 32}, {"vendor_token", "glc_", "=+/", 30, 400}, {"vendor_token", "glsa_", "_", 30, 60}, // Postman, New Relic, Grafana
	{"vendor_token", "hvs.", "-_", 20, 200}, {"vendor_token", "hvb.", "-_", 20, 200}, {"vendor_token", "ATATT3", "-_=", 30, 300}, {"vendor_token", "lin_api_", "", 32, 48}, // Vault, Atlassian, Linear
	{"vendor_token", "ntn_", "", 40, 60}, {"vendor_token", "secret_", "", 43, 43}, {"vendor_token", "dp.pt.", "", 40, 48}, {"vendor_token", "dckr_pat_", "-_", 24, 40}, // Notion, Doppler, Docker
	{"vendor_token", "figd_", "-_", 30, 60}, {"vendor_token", "sbp_", "", 40, 48}, {"vendor_token", "pscale_tkn_", "-_.=", 30, 64}, {"vendor_token", "gsk_", "", 40, 64}, // Figma, Supabase, PlanetScale, Groq
	{"vendor_token", "xai-", "", 60, 100}, {"vendor_token", "pplx-", "", 32, 64}, {"vendor_token", "r8_", "", 36, 40}, {"vendor_token", "sq0atp-", "-_", 20, 30}, {"vendor_token", "sq0csp-", "-_", 40, 50}, // xAI, Perplexity, Replicate, Square
	{"vendor_token", "AGE-SECRET-KEY-1", "", 50, 64}, {"vendor_token", "rubygems_", "", 40, 56}, {"vendor_token", "pul-", "", 40, 40}, {"vendor_token", "sntrys_", "=_+/", 40, 300}, {"vendor_token", "tfp_", "", 40, 70}, // age, RubyGems, Pulumi, Sentry, Typeform
}

func tokenKinds() []string {
	var out []string
	for _, t := range tokens {
		out = append(out, t.kind)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hexTokens are prefixes so short that only a body of hexadecimal digits makes a token of them.
var hexTokens = map[string]bool{"SK": true, "dapi": true, "key-": true}

// capitalTokens have bodies of capitals and digits.
var capitalTokens = map[string]bool{"AKIA": true, "ASIA": true, "ABIA": true, "ACCA": true}

// tokensByFirst lists the tokens by the first byte of their prefix, in order.
var tokensByFirst = sync.OnceValue(func() (out [256][]*token) {
	for i := range tokens {
		first := tokens[i].prefix[0]
		out[first] = append(out[first], &tokens[i])
	}
	return out
})

func findTokens(p *page, yield func(string, int, int)) {
	byFirst := tokensByFirst()
	for _, w := range p.words {
		rest := p.s[w.start:]
		for _, t := range byFirst[rest[0]] {
			if !strings.HasPrefix(rest, t.prefix) {
				continue
			}
			body := rest[len(t.prefix):min(len(rest), len(t.prefix)+t.most+1)]
			n := span(body, t.marks)
			body = strings.TrimRight(body[:n], t.marks)
			if n < t.least || n > t.most || distinct(body) < 6 || !capitalTokens[t.prefix] && !random(body) || hexTokens[t.prefix] && strings.Trim(body, hexDigits) != "" || capitalTokens[t.prefix] && !all(body, upper|digit) {
				continue
			}
			yield(t.kind, w.start, w.start+len(t.prefix)+len(body))
			break
		}
	}
}

// random tells whether the body of a token is more than a placeholder: it has a digit, or capitals and small letters, and many different characters.
func random(s string) bool {
	var classes charClass
	for i := range len(s) {
		classes |= class(s[i])
	}
	return distinct(s) >= 6 && (classes.is(digit) || classes&(upper|lower) == upper|lower)
}

func distinct(s string) int {
	var seen [256]bool
	n := 0
	for i := range len(s) {
		if !seen[s[i]] {
			seen[s[i]] = true
			n++
		}
	}
	return n
}

// entropy is Shannon's, in bits for each byte.
func entropy(s string) float64 {
	var count [256]int
	for i := range len(s) {
		count[s[i]]++
	}
	h := 0.0
	for _, n := range count {
		if n > 0 {
			share := float64(n) / float64(len(s))
			h -= share * math.Log2(share)
		}
	}
	return h
}

// ---- blocks and structured tokens

func findPrivateKeys(p *page, yield func(int, int)) {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	for at := 0; ; {
		n := strings.Index(p.s[at:], begin)
		if n < 0 {
			return
		}
		start := at + n
		at = start + len(begin)
		const longest = 64
		title := p.s[at:min(len(p.s), at+longest)]
		n = strings.Index(title, dashes)
		if n < 0 || !strings.Contains(title[:n], "PRIVATE KEY") {
			continue
		}
		at += n + len(dashes)
		for at < len(p.s) && (class(p.s[at]).is(alnum) || strings.IndexByte("+/= \n\r\t:,.-", p.s[at]) >= 0) && !strings.HasPrefix(p.s[at:], dashes) {
			at++
		}
		if strings.HasPrefix(p.s[at:], end) {
			at += len(end)
			if n := strings.Index(p.s[at:min(len(p.s), at+longest)], dashes); n >= 0 {
				at += n + len(dashes)
			}
		}
		yield(start, at)
	}
}

func findJWTs(p *page, yield func(int, int)) {
	seen := 0 // a header is read once, so that the time stays linear
	for _, w := range p.words {
		const begin = "eyJ" // {" in base64
		if w.start < seen || !strings.HasPrefix(p.s[w.start:w.end], begin) {
			continue
		}
		const least = 10
		header := span(p.s[w.start:], "-_")
		at := w.start + header
		seen = at
		parts := 1
		for at < len(p.s) && p.s[at] == '.' && parts < 5 {
			n := span(p.s[at+1:], "-_")
			if n < least && parts == 1 {
				break
			}
			at += 1 + n
			parts++
		}
		if decoded, err := base64.RawURLEncoding.DecodeString(p.s[w.start : w.start+header]); parts < 3 || err != nil || !strings.HasPrefix(string(decoded), `{"`) {
			continue
		}
		yield(w.start, at)
	}
}

func findTelegram(p *page, yield func(int, int)) {
	for i, w := range p.words {
		const body = 35
		if !p.numeric(i) || w.digits < 8 || w.digits > 10 || !strings.HasPrefix(p.s[w.end:], ":A") {
			continue
		}
		start := w.end + 1
		if n := span(p.upTo(start, body+1), "-_"); n == body && random(p.s[start:start+n]) {
			yield(w.start, start+n)
		}
	}
}

// findSuffixed finds tokens without a prefix: those of Mailchimp end with a data centre, those of Discord bots have three parts of known lengths.
func findSuffixed(p *page, yield func(int, int)) {
	for _, w := range p.words {
		switch w.end - w.start {
		case 32:
			rest := p.upTo(w.end, len("-us99"))
			if n := span(rest, "-"); n > len("-us") && strings.HasPrefix(rest, "-us") && all(rest[len("-us"):n], digit) && strings.Trim(p.s[w.start:w.end], hexDigits) == "" {
				yield(w.start, w.end+n)
			}
		case 24, 26, 28:
			body := p.upTo(w.start, 80)
			body = body[:span(body, "-_.")]
			part := strings.Split(body, ".")
			if len(part) == 3 && len(part[1]) == 6 && len(part[2]) >= 27 && len(part[2]) <= 38 && strings.IndexByte("MNO", body[0]) >= 0 && random(body) {
				yield(w.start, w.start+len(body))
			}
		}
	}
}

// webhooks are the addresses at which whoever knows them may post.
var webhooks = []string{"hooks.slack.com/services/", "hooks.slack.com/workflows/", "discord.com/api/webhooks/", "discordapp.com/api/webhooks/", "webhook.office.com/webhookb2/", "hooks.zapier.com/hooks/catch/"}

func findWebhooks(p *page, yield func(int, int)) {
	for _, h := range webhooks {
		for at := 0; ; {
			n := strings.Index(p.s[at:], h)
			if n < 0 {
				break
			}
			start := at + n
			at = start + len(h)
			const least, most = 16, 512
			n = span(p.upTo(at, most), "-_/@")
			if n < least || !random(p.s[at:at+n]) {
				continue
			}
			at += n
			if begin := strings.LastIndex(p.s[max(0, start-40):start], "https://"); begin >= 0 {
				start = max(0, start-40) + begin
			}
			yield(start, at)
		}
	}
}

// databases are the schemes of URLs that lead to data.
var databases = map[string]bool{"postgres": true, "postgresql": true, "mysql": true, "mariadb": true, "mongodb": true, "mongodb+srv": true, "redis": true, "rediss": true, "amqp": true, "amqps": true,
	"mssql": true, "sqlserver": true, "oracle": true, "cockroachdb": true, "clickhouse": true, "cassandra": true, "neo4j": true, "bolt": true, "jdbc": true, "db2": true, "snowflake": true, "kafka": true, "nats": true, "couchbase": true}

func findURLCredentials(p *page, yield func(string, int, int)) {
	for at := 0; ; {
		n := strings.Index(p.s[at:], "://")
		if n < 0 {
			return
		}
		mark := at + n
		at = mark + len("://")
		start := mark
		for start > max(0, mark-20) && (class(p.s[start-1]).is(alnum&^foreign) || strings.IndexByte("+.-", p.s[start-1]) >= 0) {
			start--
		}
		authority := p.s[at:min(len(p.s), at+512)]
		if n := strings.IndexAny(authority, " \t\r\n\"'<>`/?#,;|"); n >= 0 {
			authority = authority[:n]
		}
		sign := strings.LastIndexByte(authority, '@')
		if sign < 0 || start == mark {
			continue
		}
		user, password, ok := strings.Cut(authority[:sign], ":")
		if !ok || len(password) < 2 || placeholder(password) || len(user) > 128 {
			continue
		}
		end := at + len(authority)
		for end < len(p.s) && strings.IndexByte(" \t\r\n\"'<>`|", p.s[end]) < 0 {
			end++
		}
		kind := "url_credentials"
		scheme := strings.ToLower(p.s[start:mark])
		if base, _, _ := strings.Cut(scheme, "+"); databases[scheme] || databases[base] {
			kind = "connection_string"
		}
		for end > at+len(authority) && strings.IndexByte(".,;:!?)]}", p.s[end-1]) >= 0 {
			end--
		}
		yield(kind, start, end)
		at = end
	}
}

func findBasicAuth(p *page, yield func(int, int)) {
	for i := range p.words {
		switch {
		case strings.EqualFold(p.word(i), "basic") && i+1 < len(p.words) && p.gap(i+1) == " ":
			start := p.words[i+1].start
			n := span(p.s[start:], "+/=-_")
			decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(p.s[start:start+n], "="))
			if user, _, ok := strings.Cut(string(decoded), ":"); err == nil && ok && n >= 8 && user != "" && strings.IndexFunc(string(decoded), func(r rune) bool { return r < ' ' || r == 0xfffd }) < 0 {
				yield(start, start+n)
			}
		case (p.word(i) == "u" && strings.HasSuffix(p.gap(i), "-") || p.word(i) == "user" && strings.HasSuffix(p.gap(i), "--")) && strings.Contains(p.s[max(0, p.words[i].start-200):p.words[i].start], "curl "):
			start := p.words[i].end
			for start < len(p.s) && strings.IndexByte(" '\"=", p.s[start]) >= 0 {
				start++
			}
			end := start
			for end < len(p.s) && end-start < 200 && strings.IndexByte(" '\"\n\t", p.s[end]) < 0 {
				end++
			}
			if _, password, ok := strings.Cut(p.s[start:end], ":"); ok && len(password) > 3 && !placeholder(password) {
				yield(start, end)
			}
		}
	}
}

func findBearer(p *page, yield func(int, int)) {
	seen := 0
	for i := range p.words {
		if p.words[i].start < seen || !strings.EqualFold(p.word(i), "bearer") {
			continue
		}
		start := p.words[i].end
		for start < len(p.s) && start-p.words[i].end < maxGap && strings.IndexByte(" :\"'=", p.s[start]) >= 0 {
			start++
		}
		const least, most = 16, 4096
		n := span(p.upTo(start, most), "._~+/=-")
		seen = start + n
		if body := strings.TrimRight(p.s[start:start+n], "."); len(body) >= least && random(body) && strings.ContainsAny(body, "0123456789") && !wordy(body) {
			yield(start, start+len(body))
		}
	}
}

// ---- values assigned to a name

// assigned names the endings of names whose value is a secret, with separators left out.
var (
	passwordNames = []string{"password", "passwd", "passphrase", "passwort", "pwd", "dbpass", "userpass", "pass", "pw", "contraseña", "motdepasse", "kennwort"}
	secretNames   = []string{"secret", "secretkey", "token", "apikey", "accesskey", "authkey", "privatekey", "credential", "credentials", "signingkey", "encryptionkey", "masterkey", "accountkey",
		"sharedkey", "sharedaccesskey", "servicekey", "appkey", "clientkey", "secretaccesskey", "sharedsecret", "salt", "hmackey", "licensekey", "webhookkey", "auth", "authorization", "cookie", "sessionkey"}
	notSecretNames = []string{"pagetoken", "nexttoken", "continuationtoken", "maxtoken", "tokentype", "synctoken", "compass", "bypass", "publickey"}
)

func hasAnySuffix(s string, endings []string) bool {
	return slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(s, e) })
}

// nameBefore returns the name that ends before i, in small letters without separators.
func (p *page) nameBefore(i int) string {
	const longest = 48
	for i > 0 && strings.IndexByte(" \"'`]", p.s[i-1]) >= 0 {
		i--
	}
	start := i
	for start > max(0, i-longest) && (class(p.s[start-1]).is(alnum) || strings.IndexByte("_.- ", p.s[start-1]) >= 0) {
		start--
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("_.- ", r) {
			return -1
		}
		return r
	}, strings.ToLower(p.s[start:i]))
}

// literal returns the span of a value that is written at or behind i, and the quote around it, 0 for none.
func (p *page) literal(i int) (start, end int, quote byte) {
	const longest = 512
	for skipped := 0; i < len(p.s) && skipped < 4 && strings.IndexByte(" \t>=", p.s[i]) >= 0; skipped++ {
		i++
	}
	if i < len(p.s) && strings.IndexByte("\"'`", p.s[i]) >= 0 {
		quote = p.s[i]
		i++
	}
	end = i
	for end < len(p.s) && end-i < longest {
		c := p.s[end]
		if quote != 0 && c == quote || c == '\n' || quote == 0 && strings.IndexByte(" \t\r\"'`,;&<>", c) >= 0 {
			break
		}
		end++
	}
	if quote == 0 {
		for end > i && strings.IndexByte(".)]}:?", p.s[end-1]) >= 0 {
			end--
		}
	}
	return i, end, quote
}

func findAssigned(p *page, yield func(string, int, int)) {
	for i := 0; i < len(p.s); i++ {
		if c := p.s[i]; c != '=' && c != ':' || i+1 < len(p.s) && (p.s[i+1] == '=' || p.s[i+1] == ':' || strings.HasPrefix(p.s[i:], "://")) {
			continue
		}
		name := p.nameBefore(strings.LastIndexFunc(p.s[max(0, i-2):i], func(r rune) bool { return r != ':' && r != '=' }) + 1 + max(0, i-2))
		isPassword := hasAnySuffix(name, passwordNames)
		if !isPassword && !hasAnySuffix(name, secretNames) || hasAnySuffix(name, notSecretNames) {
			continue
		}
		start, end, quote := p.literal(i + 1)
		value := p.s[start:end]
		switch {
		case isPassword && passwordLike(value, quote != 0) && !placeholder(value):
			kind := "password"
			if before := strings.ToLower(p.s[max(0, i-200):i]); strings.Contains(before, ";") && containsAnyOf(before, "server=", "data source=", "host=", "uid=", "user id=", "database=", "initial catalog=") {
				kind = "connection_string"
			}
			yield(kind, start, end)
		case !isPassword && secretLike(value) && !placeholder(value):
			yield(secretKind(name, value), start, end)
		}
	}
}

func containsAnyOf(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(x string) bool { return strings.Contains(s, x) })
}

// secretKind tells a random value apart by its name.
func secretKind(name, value string) string {
	switch {
	case len(value) == 40 && containsAnyOf(name, "secretaccesskey", "awssecret"):
		return "aws_secret_key"
	case strings.HasSuffix(name, "accountkey") || strings.HasSuffix(name, "sharedaccesskey"):
		return "azure_key"
	}
	return "assigned_secret"
}

// placeholders are what documentation writes where a secret belongs.
var placeholders = []string{"your", "changeme", "change_me", "placeholder", "redacted", "xxxx", "****", "....", "process.env", "os.environ", "getenv", "env.", "secrets.", "config.", "undefined", "dummy", "<", "${", "{{"}

func placeholder(s string) bool {
	const fewest = 4
	if s == "" || strings.IndexByte("$<{%*[(", s[0]) >= 0 && !strings.ContainsAny(s, "0123456789") || distinct(s) < fewest {
		return true
	}
	if call := strings.IndexByte(s, '('); call > 0 && all(strings.Trim(s[:call], "_."), upper|lower) {
		return true // the code that reads it
	}
	return containsAnyOf(strings.ToLower(s), placeholders...)
}

// passwordLike tells whether a value that is called a password is one: not a word of a sentence.
func passwordLike(s string, quoted bool) bool {
	const least, quotedLeast, most = 5, 8, 128
	if len(s) < least || len(s) > most || strings.Contains(s, " ") && !quoted || strings.Contains(s, "://") {
		return false
	}
	var classes charClass
	marks := false
	for i := range len(s) {
		c := class(s[i])
		classes |= c
		marks = marks || c == 0 && strings.IndexByte("-'_ /.|:", s[i]) < 0
	}
	mixed := classes.is(letter) && (classes.is(digit) || marks) || len(s) > least && classes == digit
	inner := strings.IndexFunc(s[1:], func(r rune) bool { return 'A' <= r && r <= 'Z' }) >= 0 && classes.is(lower)
	return mixed || inner || quoted && len(s) >= quotedLeast && !strings.Contains(s, " ")
}

// secretLike tells whether a value that is called a key or a token looks random.
func secretLike(s string) bool {
	const least, most, bits = 12, 512, 2.9
	if len(s) < least || len(s) > most || strings.ContainsAny(s, " \t") || strings.Contains(s, "://") || !random(s) || wordy(s) {
		return false
	}
	return entropy(s) >= bits && strings.ContainsAny(s, "0123456789")
}

// wordy tells whether more than half of a value is runs of letters of one case that are long enough for words.
func wordy(s string) bool {
	const word = 5
	letters, length := 0, 0
	var last charClass
	for i := 0; i <= len(s); i++ {
		var c charClass
		if i < len(s) {
			c = class(s[i]) & letter
		}
		if c != 0 && c == last {
			length++
			continue
		}
		if length >= word {
			letters += length
		}
		last, length = c, 1
		if c == 0 {
			length = 0
		}
	}
	return letters*2 > len(s)
}

// tells are the words between "password" and what it is in a sentence.
var tells = map[string]bool{"is": true, "was": true, "to": true, "ist": true, "est": true, "es": true, "as": true, "be": true}

// spokenPassword takes what a sentence says that a password is.
func spokenPassword(p *page, i int) (int, int, bool) {
	if !tells[strings.ToLower(p.word(i-1))] {
		return 0, 0, false
	}
	start, end, _ := p.literal(p.words[i-1].end)
	value := strings.TrimRight(p.s[start:end], "!")
	return start, start + len(value), strings.ContainsAny(value, "0123456789!@#$%^&*+=~") && passwordLike(value, false) && !placeholder(value)
}

package conformance

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy/builtin"
)

// perKind is how many texts are generated for each kind of positives and of negatives.
const perKind = 300

// dice makes the values of the generator; the same seed gives the same texts.
type dice struct{ *rand.Rand }

func (d dice) of(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[d.IntN(len(alphabet))]
	}
	return string(b)
}

func (d dice) pick(options ...string) string { return options[d.IntN(len(options))] }

func (d dice) between(low, high int) int { return low + d.IntN(high-low+1) }

// form replaces 9 by a digit, A by a capital, h by a hexadecimal digit and x by a letter or digit; everything else stays.
func (d dice) form(form string) string {
	var b strings.Builder
	for _, c := range form {
		switch c {
		case '9':
			b.WriteString(d.of(figures, 1))
		case 'A':
			b.WriteString(d.of(capitals, 1))
		case 'h':
			b.WriteString(d.of("0123456789abcdef", 1))
		case 'x':
			b.WriteString(d.of(figures+capitals+smalls, 1))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

const (
	figures  = "0123456789"
	capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	smalls   = "abcdefghijklmnopqrstuvwxyz"
	mixed    = figures + capitals + smalls
)

func (d dice) name() string {
	return d.pick("ann", "bob", "mia.li", "o.brien", "j_smith", "raj-patel", "x", "chen99", "maria", "kofi") + d.pick("", "", "+news", "."+d.of(smalls, 3), d.of(figures, 2))
}

func (d dice) host() string {
	return d.pick("mail", "example", "corp-it", "acme", "uni", "post") + d.of(smalls, d.between(0, 3)) + d.pick(".com", ".org", ".co.uk", ".de", ".io", ".example.net", ".travel")
}

func (d dice) street() string {
	return d.pick("Maple", "Oak", "King", "Station", "Old Mill", "Washington", "Elm", "Sunset", "Church", "Lake View") + " " + d.pick("Street", "St", "Avenue", "Ave", "Road", "Rd", "Lane", "Drive", "Blvd", "Court", "Way", "Place")
}

// find tries digits until a check holds.
func (d dice) find(n int, check func(digits string) bool) string {
	for {
		if s := d.of(figures, n); check(s) {
			return s
		}
	}
}

// grouped cuts a text into groups held together by sep.
func grouped(s, sep string, widths ...int) string {
	var out []string
	for _, w := range widths {
		if w = min(w, len(s)); w > 0 {
			out, s = append(out, s[:w]), s[w:]
		}
	}
	if s != "" {
		out = append(out, s)
	}
	return strings.Join(out, sep)
}

// The checksums below are written again, from their definitions and in other ways than the detectors do, so that one checks the other.

func checksum(s string, term func(i, digit int) int) int {
	total := 0
	for i, c := range s {
		total += term(i, int(c-'0'))
	}
	return total
}

func luhnHolds(s string) bool {
	return checksum(s, func(i, n int) int {
		if (len(s)-i)%2 == 0 {
			return n*2/10 + n*2%10
		}
		return n
	})%10 == 0
}

func (d dice) card() string {
	prefix, n := "4", 16
	switch d.IntN(5) {
	case 0:
		prefix = d.pick("51", "52", "53", "54", "55", "2221", "2500", "2719")
	case 1:
		prefix, n = d.pick("34", "37"), 15
	case 2:
		prefix = d.pick("6011", "65", "644")
	}
	for {
		if s := prefix + d.of(figures, n-len(prefix)); luhnHolds(s) {
			if n == 15 {
				return d.pick(s, grouped(s, " ", 4, 6, 5), grouped(s, "-", 4, 6, 5))
			}
			return d.pick(s, grouped(s, " ", 4, 4, 4, 4), grouped(s, "-", 4, 4, 4, 4))
		}
	}
}

// mod97 is the remainder of a number that letters stand for two digits of.
func mod97(s string) int {
	n := new(big.Int)
	for _, c := range s {
		v, shift := int64(c-'0'), int64(10)
		if c >= 'A' {
			v, shift = int64(c-'A')+10, 100
		}
		n.Add(n.Mul(n, big.NewInt(shift)), big.NewInt(v))
	}
	return int(n.Mod(n, big.NewInt(97)).Int64())
}

func (d dice) iban() string {
	country := d.pick("DE18d", "GB4a14d", "FR23d", "NL4a10d", "ES20d", "IT1a22d", "CH17d", "AT16d", "BE12d", "PL24d", "SE20d")
	bban := ""
	rest := country[2:]
	for rest != "" {
		n := 0
		for rest[0] >= '0' && rest[0] <= '9' {
			n, rest = n*10+int(rest[0]-'0'), rest[1:]
		}
		bban += d.of(map[byte]string{'d': figures, 'a': capitals}[rest[0]], n)
		rest = rest[1:]
	}
	s := fmt.Sprintf("%s%02d%s", country[:2], 98-mod97(bban+country[:2]+"00"), bban)
	return d.pick(s, grouped(s, " ", 4, 4, 4, 4, 4, 4, 4))
}

func (d dice) ssn() string {
	s := d.find(9, func(s string) bool {
		return s[0] != '9' && s[:3] != "000" && s[:3] != "666" && s[3:5] != "00" && s[5:] != "0000"
	})
	return grouped(s, "-", 3, 2, 4)
}

func (d dice) date() string {
	y, m, day := d.between(1930, 2015), d.between(1, 12), d.between(1, 28)
	months := []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
	return d.pick(fmt.Sprintf("%d-%02d-%02d", y, m, day), fmt.Sprintf("%02d/%02d/%d", m, day, y), fmt.Sprintf("%d.%d.%d", day, m, y), fmt.Sprintf("%s %d, %d", months[m-1], day, y),
		fmt.Sprintf("%d %s %d", day, months[m-1], y), fmt.Sprintf("%d %s %d", day, months[m-1][:3], y))
}

const base58Letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// base58 writes bytes with their checksum, as Bitcoin does.
func (d dice) base58(version byte, n int) string {
	b := []byte{version}
	for range n {
		b = append(b, byte(d.IntN(256)))
	}
	once := sha256.Sum256(b)
	twice := sha256.Sum256(once[:])
	b = append(b, twice[:4]...)
	v := new(big.Int).SetBytes(b)
	var out []byte
	for v.Sign() > 0 {
		var r big.Int
		v.DivMod(v, big.NewInt(58), &r)
		out = append(out, base58Letters[r.Int64()])
	}
	for _, x := range b {
		if x != 0 {
			break
		}
		out = append(out, '1')
	}
	slices.Reverse(out)
	return string(out)
}

func (d dice) vin() string {
	const letters = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
	value := map[rune]int{}
	for i, run := range []string{"0", "1AJ", "2BKS", "3CLT", "4DMU", "5ENV", "6FW", "7GPX", "8HY", "9RZ"} {
		for _, c := range run {
			value[c] = i
		}
	}
	s := []byte(d.of(letters, 17))
	s[8] = '0'
	total := 0
	for i, c := range string(s) {
		total += value[c] * []int{8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2}[i]
	}
	s[8] = "0123456789X"[total%11]
	return string(s)
}

func (d dice) cpf() string {
	s := d.of(figures, 9)
	for n := range 2 {
		r := checksum(s, func(i, digit int) int { return digit * (10 + n - i) }) % 11
		s += fmt.Sprint(max(0, 11-r) % 11 % 10)
	}
	return s[:3] + "." + s[3:6] + "." + s[6:9] + "-" + s[9:]
}

// aadhaar computes Verhoeff's check digit with the group's operation rather than its table.
func (d dice) aadhaar() string {
	compose := func(a, b int) int { // in the dihedral group of order ten
		switch {
		case a < 5 && b < 5:
			return (a + b) % 5
		case a < 5:
			return (a+b-5)%5 + 5
		case b < 5:
			return (a-5-b+5)%5 + 5
		}
		return (a - b + 5) % 5
	}
	step := []int{1, 5, 7, 6, 2, 8, 3, 0, 9, 4}
	s := d.pick("2", "3", "4", "5", "6", "7", "8", "9") + d.of(figures, 10)
	for digit := range 10 {
		c, whole := 0, s+fmt.Sprint(digit)
		for i := range len(whole) {
			v := int(whole[len(whole)-1-i] - '0')
			for range i {
				v = step[v]
			}
			c = compose(c, v)
		}
		if c == 0 {
			return grouped(whole, " ", 4, 4, 4)
		}
	}
	panic("no digit makes the sum whole")
}

// germanTax adds the check digit of ISO 7064 by trying all ten: the running product of the whole number is 1.
func (d dice) germanTax() string {
	for {
		s := d.of("123456789", 1) + d.of(figures, 10)
		p := 10
		for _, c := range s[:10] {
			if p = (p + int(c-'0')) % 10; p == 0 {
				p = 10
			}
			p = p * 2 % 11
		}
		if (p+int(s[10]-'0'))%10 == 1 {
			return s
		}
	}
}

// fiscalCode takes the value of a letter at an odd place from its position in a row of letters.
func (d dice) fiscalCode() string {
	const odd = "BAKPLCQDREVOSFTGUHMINJWZYX"
	s := d.form("AAAAAA99") + d.of("ABCDEHLMPRST", 1) + d.form("99A999")
	total := 0
	for i, c := range s {
		n := strings.IndexRune(capitals, c)
		if n < 0 {
			n = int(c - '0')
		}
		if i%2 == 0 {
			n = strings.IndexByte(odd, capitals[n])
		}
		total += n
	}
	return s + capitals[total%26:total%26+1]
}

func (d dice) dni() string {
	n := d.IntN(100_000_000)
	return fmt.Sprintf("%08d%c", n, "TRWAGMYFPDXBNJZSQVHLCKE"[n%23])
}

func (d dice) nir() string {
	s := fmt.Sprintf("%d%02d%02d%02d%03d%03d", d.between(1, 2), d.IntN(100), d.between(1, 12), d.between(1, 95), d.between(1, 900), d.between(1, 999))
	key := 97 - mod97(s)
	return d.pick(fmt.Sprintf("%s%02d", s, key), grouped(fmt.Sprintf("%s%02d", s, key), " ", 1, 2, 2, 2, 3, 3, 2))
}

// positive is a way to write something that has to be found: a value, and sentences around it in which %s stands for it.
type positive struct {
	kind    string
	value   func(d dice) string
	context []string
}

var anywhere = []string{"%s", "It is %s.", "Please note: %s, thank you.", "Send it to %s today", "{\"note\":\"first\\n%s\",\"x\":1}", "| a | %s | b |", "We have (%s) on file.", "“%s” was the answer"}

func behind(words ...string) []string {
	var out []string
	for _, w := range words {
		out = append(out, w+": %s", "My "+w+" is %s.", "the "+w+" %s was given", "{\""+strings.ReplaceAll(w, " ", "_")+"\": \"%s\"}", w+" = %s")
	}
	return out
}

var personalData = []positive{
	{"email", func(d dice) string { return d.name() + "@" + d.host() }, anywhere},
	{"phone", func(d dice) string {
		us := fmt.Sprintf("%s-%s-%s", d.form(d.pick("2", "4", "6", "7")+"99"), d.form(d.pick("2", "5", "8")+"99"), d.form("9999"))
		return d.pick("+1 "+us, us, "("+us[:3]+") "+us[4:], strings.ReplaceAll(us, "-", "."), "1-"+us, d.form("+44 20 7999 9999"), d.form("+49 171 9999999"), d.form("+33 6 99 99 99 99"), d.form("+819999999999"), d.form("030 9999999"), d.form("01 42 99 99 99"), d.form("0171/9999999"))
	}, anywhere},
	{"card", dice.card, anywhere},
	{"iban", dice.iban, anywhere},
	{"ssn", dice.ssn, anywhere},
	{"ssn", func(d dice) string { return strings.ReplaceAll(d.ssn(), "-", "") }, behind("SSN", "social security number")},
	{"passport", func(d dice) string {
		return d.pick(d.form("A9999999"), d.form("999999999"), d.form("AA9999999"), "C"+d.form("99A99999"))
	}, behind("passport number", "passport no", "passport")},
	{"driver_license", func(d dice) string { return d.pick(d.form("A9999999"), d.form("A999-9999-9999"), d.form("99999999")) }, behind("driver's license", "driving licence number", "drivers license")},
	{"birth_date", dice.date, []string{"DOB: %s", "born on %s", "She was born %s in Leeds.", "date of birth: %s", "My birthday is %s.", "{\"date_of_birth\": \"%s\"}", "birth date %s"}},
	{"postal_address", func(d dice) string {
		return d.pick(fmt.Sprintf("%d %s", d.between(1, 9999), d.street()), fmt.Sprintf("%d %s, Springfield, IL 62704", d.between(1, 9999), d.street()), fmt.Sprintf("%s %d", d.pick("Hauptstraße", "Lindenweg", "Goethestrasse", "Marktplatz"), d.between(1, 200)),
			fmt.Sprintf("%d rue %s", d.between(1, 200), d.pick("Victor Hugo", "de la Paix", "Saint-Denis")), fmt.Sprintf("P.O. Box %d", d.between(10, 99999)))
	}, anywhere},
	{"ip_address", func(d dice) string {
		return d.pick(fmt.Sprintf("%d.%d.%d.%d", d.between(11, 126), d.IntN(256), d.IntN(256), d.between(1, 254)), fmt.Sprintf("192.168.%d.%d", d.IntN(256), d.between(1, 254)), d.form("2001:db8:hhhh:hhhh::1hhh"), d.form("2a0h:hhhh:hhhh:hhhh:hhhh:hhhh:hhhh:hhh1"))
	}, anywhere},
	{"mac_address", func(d dice) string {
		return d.pick(d.form("hh:hh:hh:hh:hh:hh"), strings.ToUpper(d.form("ah-hh-hh-hh-hh-hh")))
	}, anywhere},
	{"crypto_address", func(d dice) string {
		return d.pick(d.base58(0, 20), d.base58(5, 20), "0x"+d.form(strings.Repeat("h", 40)), d.base58(0x41, 20))
	}, anywhere},
	{"vin", dice.vin, anywhere},
	{"uk_nino", func(d dice) string {
		s := d.of("ABCEGHJKLMNPRSTWXYZ", 1) + d.of("ABCEGHJKLMPRSWXYZ", 1) + d.form("999999") + d.of("ABCD", 1)
		for slices.Contains([]string{"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}, s[:2]) {
			s = "AB" + s[2:]
		}
		return d.pick(s, grouped(s, " ", 2, 2, 2, 2, 1))
	}, anywhere},
	{"uk_nhs", func(d dice) string {
		s := d.find(10, func(s string) bool {
			return checksum(s, func(i, n int) int { return n * (10 - i) })%11 == 0 && s[0] != '0'
		})
		return d.pick(s, grouped(s, " ", 3, 3, 4))
	}, behind("NHS number", "NHS no")},
	{"ca_sin", func(d dice) string { return grouped(d.find(9, luhnHolds), d.pick(" ", "-"), 3, 3, 3) }, behind("SIN", "social insurance number")},
	{"br_cpf", dice.cpf, anywhere},
	{"in_aadhaar", dice.aadhaar, anywhere},
	{"in_pan", func(d dice) string { return d.of(capitals, 3) + d.of("ABCFGHJLPT", 1) + d.form("A9999A") }, anywhere},
	{"es_dni", dice.dni, anywhere},
	{"fr_nir", dice.nir, anywhere},
	{"imei", func(d dice) string { return d.find(15, luhnHolds) }, behind("IMEI", "IMEI number")},
	{"routing_number", func(d dice) string {
		return d.find(9, func(s string) bool { return checksum(s, func(i, n int) int { return n * []int{3, 7, 1}[i%3] })%10 == 0 })
	}, behind("routing number", "ABA")},
	{"bank_account", func(d dice) string { return d.of("123456789", 1) + d.of(figures, d.between(7, 11)) }, behind("account number", "bank account", "savings account")},
	{"swift_code", func(d dice) string {
		return d.of(capitals, 4) + d.pick("DE", "GB", "US", "FR") + d.form("AA") + d.pick("", "XXX", d.form("A99"))
	}, behind("SWIFT code", "BIC")},
	{"card_code", func(d dice) string { return d.form("999") }, behind("CVV", "security code", "CVC")},
	{"medical_record", func(d dice) string { return d.form("99999999") }, behind("MRN", "medical record number", "patient ID")},
	{"coordinates", func(d dice) string {
		return fmt.Sprintf("%d.%s, %d.%s", d.between(10, 89), d.of(figures, d.between(4, 7)), d.between(-179, 179), d.of(figures, d.between(4, 7)))
	}, anywhere},
	{"de_tax_id", dice.germanTax, behind("Steuer-ID", "tax identification number")},
	{"nl_bsn", func(d dice) string {
		return d.find(9, func(s string) bool {
			return checksum(s[:8], func(i, n int) int { return n * (9 - i) })%11 == int(s[8]-'0') && s[0] != '0'
		})
	}, behind("BSN", "burgerservicenummer")},
	{"pl_pesel", func(d dice) string {
		return d.find(11, func(s string) bool {
			return (checksum(s[:10], func(i, n int) int { return n * []int{1, 3, 7, 9}[i%4] })+int(s[10]-'0'))%10 == 0
		})
	}, behind("PESEL")},
	{"tax_id", func(d dice) string { return d.pick(d.form("19-9999999"), d.form("DE999999999"), d.form("GB999999999")) }, behind("EIN", "VAT ID", "tax ID")},
	{"it_fiscal_code", dice.fiscalCode, anywhere},
	{"license_plate", func(d dice) string {
		return d.pick(d.form("AAA 9999"), d.form("AA99 AAA"), d.form("9AAA999"), d.form("B-AA 9999"))
	}, behind("license plate", "number plate")},
}

func (d dice) jwt() string {
	part := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return part(map[string]any{"alg": d.pick("HS256", "RS256", "ES256"), "typ": "JWT"}) + "." + part(map[string]any{"sub": d.name(), "iat": d.IntN(1e9)}) + "." + d.of(mixed+"-_", 43)
}

func (d dice) word() string { return d.pick("app", "root", "svc_reader", "admin", "deploy") }

// password is one that people or generators choose; it has letters and something else.
func (d dice) password() string {
	return d.pick(d.of(mixed, 6)+d.of(figures, 1)+d.of("!#%+_-", 1)+d.of(mixed, 4), d.pick("Summer", "Berlin", "hunter", "dragon")+d.of(figures, 4)+d.pick("", "!", "#"), d.of(mixed+figures, d.between(10, 24))+"7z", "Tr0ub4dor&"+d.of(figures, 1))
}

var loose = []string{"%s", "key: %s", "export TOKEN=%s", "{\"key\":\"%s\"}", "use %s for now", "It is `%s`.", "https://api.example.com/?k=%s", "line\\n%s\\n"}

var secrets = []positive{
	{"aws_access_key", func(d dice) string { return d.pick("AKIA", "ASIA") + d.of(capitals+"234567", 16) }, loose},
	{"aws_secret_key", func(d dice) string { return d.of(mixed+"/+", 40) }, []string{"aws_secret_access_key = %s", "AWS_SECRET_ACCESS_KEY=%s", "{\"SecretAccessKey\": \"%s\"}", "secret_access_key: %s"}},
	{"gcp_key", func(d dice) string {
		return d.pick("AIza"+d.of(mixed+"-_", 34)+"a", "GOCSPX-"+d.of(mixed+"-_", 27)+"a", "ya29."+d.of(mixed+"-_", 100)+"a")
	}, loose},
	{"github_token", func(d dice) string { return d.pick("ghp_", "gho_", "ghs_", "ghu_") + d.of(mixed, 36) }, loose},
	{"github_token", func(d dice) string { return "github_pat_" + d.of(mixed, 22) + "_" + d.of(mixed, 59) }, loose},
	{"gitlab_token", func(d dice) string { return "glpat-" + d.of(mixed+"-_", 19) + "q" }, loose},
	{"slack_token", func(d dice) string {
		return d.pick("xoxb-", "xoxp-", "xoxa-") + d.form("999999999999-9999999999999-") + d.of(mixed, 24)
	}, loose},
	{"stripe_key", func(d dice) string { return d.pick("sk_live_", "rk_live_", "sk_test_") + d.of(mixed, d.pick24(24, 99)) }, loose},
	{"openai_key", func(d dice) string { return d.pick("sk-"+d.of(mixed, 48), "sk-proj-"+d.of(mixed+"-_", 60)+"A") }, loose},
	{"anthropic_key", func(d dice) string { return "sk-ant-api03-" + d.of(mixed+"-_", 93) + "AA" }, loose},
	{"huggingface_token", func(d dice) string { return "hf_" + d.of(mixed, 34) }, loose},
	{"npm_token", func(d dice) string { return "npm_" + d.of(mixed, 36) }, loose},
	{"pypi_token", func(d dice) string { return "pypi-AgEIcHlwaS5vcmc" + d.of(mixed+"-_", 120) + "x" }, loose},
	{"sendgrid_key", func(d dice) string { return "SG." + d.of(mixed+"-_", 22) + "." + d.of(mixed+"-_", 42) + "m" }, loose},
	{"twilio_key", func(d dice) string { return "SK" + d.form(strings.Repeat("h", 32)) }, loose},
	{"telegram_token", func(d dice) string {
		return d.of("123456789", 1) + d.of(figures, 8) + ":AA" + d.of(mixed+"-_", 32) + "w"
	}, []string{"%s", "bot token %s", "TELEGRAM=%s"}},
	{"vendor_token", func(d dice) string {
		return d.pick("dop_v1_"+d.form(strings.Repeat("h", 64)), "shpat_"+d.form(strings.Repeat("h", 32)), "hvs."+d.of(mixed, 24), "dckr_pat_"+d.of(mixed, 27), "glsa_"+d.of(mixed, 32)+"_"+d.form("hhhhhhhh"), "lin_api_"+d.of(mixed, 40))
	}, loose},
	{"jwt", dice.jwt, append([]string{"Authorization: Bearer %s"}, loose...)},
	{"private_key", func(d dice) string {
		kind := d.pick("RSA ", "EC ", "OPENSSH ", "")
		return "-----BEGIN " + kind + "PRIVATE KEY-----\n" + grouped(d.of(mixed+"+/", 200), "\n", 64, 64, 64) + "==\n-----END " + kind + "PRIVATE KEY-----"
	}, []string{"%s", "here:\n%s\nthanks"}},
	{"url_credentials", func(d dice) string {
		return d.pick("https", "ftp", "ssh") + "://" + d.word() + ":" + d.of(mixed, 10) + "@" + d.host() + "/x"
	}, []string{"%s", "clone %s now", "\"%s\""}},
	{"connection_string", func(d dice) string {
		return d.pick("postgres", "postgresql", "mysql", "mongodb+srv", "redis", "amqp") + "://" + d.word() + ":" + d.of(mixed+"!*", 12) + "@" + d.host() + ":5432/app"
	}, []string{"%s", "DATABASE_URL=%s", "use \"%s\"", "dsn: %s"}},
	{"connection_string", func(d dice) string {
		return "Server=" + d.host() + ";Database=app;User Id=" + d.word() + ";Password=" + d.password() + ";"
	}, []string{"%s", "conn = \"%s\""}},
	{"basic_auth", func(d dice) string { return base64.StdEncoding.EncodeToString([]byte(d.word() + ":" + d.password())) }, []string{"Authorization: Basic %s", "-H 'authorization: basic %s'"}},
	{"bearer_token", func(d dice) string { return d.of(mixed+"-_", d.between(24, 60)) + "9aZ" }, []string{"Authorization: Bearer %s", "curl -H \"Authorization: Bearer %s\" https://x.example"}},
	{"password", dice.password, []string{"password: %s", "My password is %s", "DB_PASSWORD=%s", "{\"password\": \"%s\"}", "pwd=%s", "the wifi passphrase is %s.", "login root, password = '%s'"}},
	{"assigned_secret", func(d dice) string {
		return d.pick(d.form(strings.Repeat("h", 32)), d.of(mixed, 32), d.of(mixed+"+/", 43)+"=", d.form("hhhhhhhh-hhhh-4hhh-ahhh-hhhhhhhhhhhh"))
	}, []string{"api_key = \"%s\"", "API_KEY=%s", "client_secret: %s", "\"authToken\": \"%s\"", "X-Api-Key: %s", "SECRET=%s"}},
	{"azure_key", func(d dice) string { return d.of(mixed+"+/", 86) + "==" }, []string{"DefaultEndpointsProtocol=https;AccountName=x;AccountKey=%s;EndpointSuffix=core.windows.net", "SharedAccessKey=%s"}},
	{"crypto_key", func(d dice) string { return d.base58(0x80, 32) }, []string{"%s", "wallet: %s"}},
	{"webhook_url", func(d dice) string {
		return d.pick("https://hooks.slack.com/services/T"+d.form("xxxxxxxx")+"/B"+d.form("xxxxxxxx")+"/"+d.of(mixed, 24), "https://discord.com/api/webhooks/"+d.of("123456789", 18)+"/"+d.of(mixed+"-_", 67)+"a")
	}, []string{"%s", "post to %s", "\"%s\""}},
	{"one_time_code", func(d dice) string { return d.form("999999") }, []string{"Your verification code is %s", "OTP: %s", "login code: %s", "your one-time code is %s."}},
}

func (d dice) pick24(a, b int) int {
	if d.IntN(2) == 0 {
		return a
	}
	return b
}

// negative is a text that has nothing to find, however much it looks so.
type negative struct {
	name string
	text func(d dice) string
}

var harmless = []negative{
	{"order numbers", func(d dice) string {
		return "Order " + d.pick(d.form("ORD-99999-99"), d.form("#99999999"), d.form("W9999999"), d.form("114-9999999-9999999"), d.form("SO-2025-99999"), d.form("99999999")) + " was shipped."
	}},
	{"versions", func(d dice) string {
		return d.pick("Upgrade to ", "version ", "requires v", "Released ") + d.pick(d.form("9.9.9"), d.form("19.0.99999.9999"), d.form("1.9.9-rc9"), d.form("2025.9.9"), d.form("v1.9.9.9")) + " soon."
	}},
	{"hashes", func(d dice) string {
		return d.pick("commit ", "sha256:", "md5 ", "digest sha512-", "etag ", "image@sha256:") + d.form(strings.Repeat("h", d.pick24(40, 64)))
	}},
	{"uuids", func(d dice) string {
		return d.pick("request ", "id: ", "\"trace_id\": ", "user_id=") + d.form("hhhhhhhh-hhhh-4hhh-ahhh-hhhhhhhhhhhh")
	}},
	{"prose", func(d dice) string {
		return d.pick("The committee met on Tuesday and agreed on the plan.", "He walked 5 miles down the road to the station.", "Passwords must be changed every 90 days; the policy is strict.", "Please keep your PIN secret and never share a token with anyone.",
			"She was born to lead; her account of 1984 is required reading.", "Call me when the bus is on the bridge.", "Our key: listen first, then answer.", "The bearer of this letter is my friend.", "Basic training starts soon.", "It is a secret: nobody knows why.",
			"The token economy rewards patience.", "In chapter 3 of 12, the drive to the lake takes 2 hours.", "A patient of 45 years came to the ward.", "The account was opened in spring.", "Passport control is on the left, gates 12 to 40 on the right.",
			"The password is case-sensitive and at least twelve characters long.", "Members of the club paid 120 dollars in 2019.", "The plate of 12 oysters costs 30.", "Call before 5pm or after 7pm on weekdays.", "Her phone was stolen on 12 May.")
	}},
	{"prices", func(d dice) string {
		return fmt.Sprintf("It costs %s, %s with tax, %d%% less than %s.", d.form("$9,999.99"), d.form("1.999,99 EUR"), d.IntN(90), d.form("9999.99"))
	}},
	{"times", func(d dice) string {
		return d.pick(d.form("On 2025-03-19T1"+"9:29:39Z it arrived."), d.form("From 10:19 to 12:49 on 03/14/2025."), d.form("ts=17999999999"), d.form("The meeting is on 1"+"9 March 2025 at 09:30."), d.form("1712345999.123456 INFO ready"))
	}},
	{"flights", func(d dice) string {
		return "Flight " + d.form("AA999") + " from JFK to SFO, seat " + d.form("19A") + ", booking " + d.form("AAA9AA") + ", reservation " + d.form("AA9A99") + "."
	}},
	{"isbns and tracking", func(d dice) string {
		return d.pick("ISBN 978-", "ISBN 979-") + d.form("9-999-99999-9") + " and parcel " + d.pick(d.form("1Z999AA10123456999"), d.form("RA999999999DE"), d.form("9400 1000 0000 0000 0000 99"))
	}},
	{"placeholders", func(d dice) string {
		return d.pick("password: ********", "API_KEY=<your-api-key>", "token: ${GITHUB_TOKEN}", "api_key = os.environ['KEY']", "secret: {{ vault.secret }}", "OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "password = getpass()", "Authorization: Bearer <token>",
			"postgres://user:${PASSWORD}@localhost/db", "AWS_SECRET_ACCESS_KEY=YOUR_SECRET_KEY_HERE_PLEASE", "client_secret=changeme-please-1", "\"password\": \"string\"", "token: null", "secret_name: projects/app/secrets/db-password", "email: name at example dot com", "card: **** **** **** 1111")
	}},
	{"code", func(d dice) string {
		return d.pick("for (int i = 0; i < 4096; i++) { sum += a[i] * 31; }", "std::abs(x) == dead::beef", "func (t *Token) Key() string { return t.key }", "const maxTokens: number = 16384;", "if password == confirm { ok() }", "import numpy as np  # 1.26.4", "SELECT key, token FROM t WHERE id = 42;",
			"color: #a1b2c3; margin: 0 12px 4px;", "git diff a1b2c3d..e4f5a6b -- main.go", "a@b", "@decorator", "user@localhost", "x = y @ z", "matrix[1][2] = 0.12345, 0.67890", "curl -u \"$USER:$PASS\" https://example.com", "next_page_token: CAUQAAbcdef1234567890xyz")
	}},
	{"public keys", func(d dice) string {
		return d.pick("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"+d.of(mixed, 43)+" ops", "-----BEGIN PUBLIC KEY-----\n"+d.of(mixed, 64)+"\n-----END PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----\n"+d.of(mixed, 64)+"\n-----END CERTIFICATE-----", "pk_live_"+d.of(mixed, 24), "integrity sha384-"+d.of(mixed+"+/", 64))
	}},
	{"logs", func(d dice) string {
		return d.form("INFO 2025-03-19 10:29:39.999 worker-99 took 9999ms for 99999 rows, pid 99999, code 999")
	}},
	{"numbers in tables", func(d dice) string {
		return d.form("| 19 | 2999 | 39.99 | 4999 |\n| 1 | 29 | 399 | 4999 |")
	}},
	{"broken checksums", func(d dice) string {
		for {
			if s := "4" + d.of(figures, 15); !luhnHolds(s) {
				return "Reference " + d.pick(s, grouped(s, " ", 4, 4, 4, 4)) + " is closed; " + d.form("DE00") + d.of(figures, 18) + " as well."
			}
		}
	}},
	{"identifiers", func(d dice) string {
		return d.pick("sku ", "part no. ", "model ", "asset ") + d.pick(d.form("AB-9999-A9"), d.form("X999-999"), d.form("AAAA-9999"), d.form("9A99-B"), d.form("ABC9999-99")) + ", lot " + d.form("L9999A") + "."
	}},
	{"sections", func(d dice) string {
		return d.pick("Section ", "see rule ", "Article ", "\"PassageID\": ", "paragraph ") + fmt.Sprintf("%d.%d.%d.%d", d.between(1, 20), d.between(1, 20), d.between(1, 20), d.between(1, 20)) + " applies."
	}},
	{"characters", func(d dice) string {
		return d.pick("You are shy, patient. For ", "A member, ") + d.form("#W9999999") + ", modify the order; 1. 2. 3. 4. Dr. Smith agrees (§§ " + d.form("699-699 (2019)") + ")."
	}},
	{"mathematics", func(d dice) string {
		return d.form("3.1415926535, 2.7182818284 and 1.9999999; 99 + 999 = 9999; f(9) = 9^9; 10^19; 0.0999, 0.0999")
	}},
	{"links", func(d dice) string {
		return "See https://" + d.host() + "/docs/" + d.form("v9") + "/" + d.form("page-999") + "?id=" + d.form("99999") + "&lang=en#top or http://localhost:8080/health."
	}},
}

// detected tells whether a finder found a kind in a text where the value stands.
func detected(find builtin.Finder, kind, text, value string) bool {
	at := strings.Index(text, value)
	return slices.ContainsFunc(find(text), func(m builtin.Match) bool { return m.Kind == kind && m.Start < at+len(value) && m.End > at })
}

func TestDetectors(t *testing.T) {
	pii, err := builtin.NewFinder([]string{builtin.AllKinds}, nil)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := builtin.NewFinder(nil, []string{builtin.AllKinds})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		name       string
		find       builtin.Finder
		table      []positive
		known      []string
		leastKinds int
	}{{"pii", pii, personalData, builtin.PIIKinds(), 20}, {"secret", secret, secrets, builtin.SecretKinds(), 20}} {
		t.Run(f.name, func(t *testing.T) {
			recall(t, f.name, f.find, f.table, f.known, f.leastKinds)
			falsePositives(t, f.name, f.find)
		})
	}
}

func recall(t *testing.T, name string, find builtin.Finder, table []positive, known []string, leastKinds int) {
	d := dice{rand.New(rand.NewPCG(1, 2))}
	hits, totals := map[string]int{}, map[string]int{}
	hit, total := 0, 0
	for _, p := range table {
		missed := 0
		for i := range perKind {
			value := p.value(d)
			text := fmt.Sprintf(p.context[i%len(p.context)], value)
			totals[p.kind]++
			if detected(find, p.kind, text, value) {
				hits[p.kind]++
			} else if missed++; missed <= 2 {
				t.Logf("missed %s in %q", p.kind, text)
			}
		}
	}
	t.Logf("%-18s %8s %6s", "kind", "recall", "n")
	for _, k := range known {
		if totals[k] == 0 {
			t.Logf("%-18s %8s", k, "not generated")
			continue
		}
		hit, total = hit+hits[k], total+totals[k]
		t.Logf("%-18s %8.3f %6d", k, float64(hits[k])/float64(totals[k]), totals[k])
		if least := 0.9; float64(hits[k]) < least*float64(totals[k]) {
			t.Errorf("%s: %d of %d were found", k, hits[k], totals[k])
		}
	}
	if len(totals) < leastKinds {
		t.Errorf("only %d kinds are generated", len(totals))
	}
	t.Logf("figure: detect.%s_recall = %.4f (n=%d)", name, float64(hit)/float64(total), total)
}

func falsePositives(t *testing.T, name string, find builtin.Finder) {
	d := dice{rand.New(rand.NewPCG(3, 4))}
	wrong, total := 0, 0
	for _, h := range harmless {
		here := 0
		for range perKind {
			text := h.text(d)
			total++
			if ms := find(text); len(ms) > 0 {
				if here++; here <= 2 {
					t.Logf("false %s in %q", ms[0].Kind, text)
				}
			}
		}
		wrong += here
		t.Logf("%-18s %8.3f %6d", h.name, float64(here)/perKind, perKind)
	}
	if most := 0.01; float64(wrong) > most*float64(total) {
		t.Errorf("%d of %d harmless texts were taken for something", wrong, total)
	}
	t.Logf("figure: detect.%s_false_positive = %.4f (n=%d)", name, float64(wrong)/float64(total), total)
}

// proseFiles are outside texts about privacy and about what agents may do, which speak of personal data and of secrets and hold none.
var proseFiles = []string{"misc/xstest_prompts.jsonl", "misc/copriva_policies.jsonl", "compliance/privaci_cases.jsonl"}

func TestDetectorsOnProse(t *testing.T) {
	find, err := builtin.NewFinder([]string{builtin.AllKinds}, []string{builtin.AllKinds})
	if err != nil {
		t.Fatal(err)
	}
	wrong, total := 0, 0
	for _, file := range proseFiles {
		testkit.Lines(t, file, func(line []byte) {
			total++
			if ms := find(string(line)); len(ms) > 0 {
				wrong++
				t.Logf("%s: %s %q", file, ms[0].Kind, line[ms[0].Start:ms[0].End])
			}
		})
	}
	if most := 0.002; float64(wrong) > most*float64(total) {
		t.Errorf("%d of %d texts were taken for something", wrong, total)
	}
	t.Logf("figure: detect.prose_false_positive = %.4f (n=%d)", float64(wrong)/float64(total), total)
}

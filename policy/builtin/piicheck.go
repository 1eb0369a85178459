package builtin

import "strings"

// luhn is the checksum of cards, IMEIs and Canadian SINs (ISO/IEC 7812-1, annex B).
func luhn(d string) bool {
	sum := 0
	for i := range len(d) {
		n := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}

// weighted returns a checksum: the sum of the digits times their weights is a multiple of the modulus, and not all digits are 0.
func weighted(modulus int, weights ...int) func(string) bool {
	return func(d string) bool {
		sum := 0
		for i, w := range weights {
			sum += w * int(d[i]-'0')
		}
		return sum%modulus == 0 && strings.Trim(d, "0") != ""
	}
}

// The permutation and the multiplication table of Verhoeff's checksum, from the symmetries of a pentagon.
var (
	verhoeffPermutation = [8]string{"0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258"}
	verhoeffProduct     = [10]string{"0123456789", "1234067895", "2340178956", "3401289567", "4012395678", "5987604321", "6598710432", "7659821043", "8765932104", "9876543210"}
)

// verhoeff is the checksum of Aadhaar numbers, which do not begin with 0 or 1.
func verhoeff(d string) bool {
	c := byte('0')
	for i := range len(d) {
		c = verhoeffProduct[c-'0'][verhoeffPermutation[i%8][d[len(d)-1-i]-'0']-'0']
	}
	return c == '0' && d[0] > '1'
}

// mod11and10 is the checksum of German tax numbers (ISO 7064, MOD 11,10).
func mod11and10(d string) bool {
	product := 10
	for _, c := range []byte(d[:len(d)-1]) {
		sum := (int(c-'0') + product) % 10
		if sum == 0 {
			sum = 10
		}
		product = sum * 2 % 11
	}
	return (11-product)%10 == int(d[len(d)-1]-'0') && d[0] != '0'
}

// mod97 is the checksum of IBANs (ISO 7064, MOD 97-10).
func mod97(s string) bool {
	sum := 0
	for _, c := range []byte(strings.ToUpper(s[4:] + s[:4])) {
		if class(c).is(digit) {
			sum = (sum*10 + int(c-'0')) % 97
		} else {
			sum = (sum*100 + int(c-'A') + 10) % 97
		}
	}
	return sum == 1
}

// ibanLengths are the lengths of IBANs by country, from the registry of ISO 13616.
var ibanLengths = map[string]int{"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24,
	"DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
	"IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
	"MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27,
	"ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20}

// vehicleValues are the values of letters in a vehicle identification number, A to Z, 0 for those that it may not have (ISO 3779, 49 CFR 565.15).
const vehicleValues = "12345678012345070923456789"

// vehicle is a vehicle identification number whose check digit holds.
func vehicle(s string) bool {
	weights := [17]int{8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2}
	sum, letters := 0, 0
	for i, c := range []byte(s) {
		n := int(c - '0')
		if class(c).is(upper) {
			if n = int(vehicleValues[c-'A'] - '0'); n == 0 {
				return false
			}
			letters++
		} else if !class(c).is(digit) {
			return false
		}
		sum += n * weights[i]
	}
	return letters >= 2 && "0123456789X"[sum%11] == s[8]
}

// fiscalOdd are the values of characters at odd places of an Italian fiscal code, 0 to 9 and A to Z alike.
var fiscalOdd = [26]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}

// fiscalCode is an Italian codice fiscale whose check letter holds.
func fiscalCode(s string) bool {
	const form = "LLLLLLDDLDDLDDDL"
	sum := 0
	for i, c := range []byte(strings.ToUpper(s)) {
		if class(c).is(digit) != (form[i] == 'D') || !class(c).is(digit|upper) {
			return false
		}
		n := int(c - 'A')
		if class(c).is(digit) {
			n = int(c - '0')
		}
		if i == len(form)-1 {
			return sum%26 == n
		}
		if i%2 == 0 {
			n = fiscalOdd[n]
		}
		sum += n
	}
	return false
}

// spanishID is a DNI or NIE whose check letter holds.
func spanishID(s string) bool {
	first := strings.IndexByte("XYZ", s[0])
	if first < 0 && !class(s[0]).is(digit) || !all(s[1:8], digit) || !class(s[8]).is(upper) {
		return false
	}
	n := first
	if first < 0 {
		n = int(s[0] - '0')
	}
	for _, c := range []byte(s[1:8]) {
		n = (n*10 + int(c-'0')) % 23
	}
	return "TRWAGMYFPDXBNJZSQVHLCKE"[n] == s[8]
}

// indianPAN is an Indian permanent account number, whose fourth letter names the kind of holder.
func indianPAN(s string) bool {
	return all(s[:5], upper) && all(s[5:9], digit) && class(s[9]).is(upper) && strings.IndexByte("ABCFGHJLPT", s[3]) >= 0
}

// frenchNIR is a French social security number: sex, year and month of birth, place, order, and a key.
func frenchNIR(d string, widths []int) bool {
	if len(widths) > 1 && !sameGroups(widths, 1, 2, 2, 2, 3, 3, 2) && !sameGroups(widths, 13, 2) {
		return false
	}
	month := d[3:5]
	if d[0] != '1' && d[0] != '2' || month == "00" || month > "12" && month < "20" || month > "42" && month < "50" {
		return false
	}
	n := 0
	for _, c := range []byte(d[:13]) {
		n = (n*10 + int(c-'0')) % 97
	}
	return 97-n == int(d[13]-'0')*10+int(d[14]-'0')
}

// brazilianCPF is a Brazilian taxpayer number, written with its points and hyphen, whose two check digits hold.
func brazilianCPF(d string, widths []int) bool {
	if !sameGroups(widths, 3, 3, 3, 2) || strings.Count(d, d[:1]) == len(d) {
		return false
	}
	for n := 9; n < 11; n++ {
		sum := 0
		for i, c := range []byte(d[:n]) {
			sum += (n + 1 - i) * int(c-'0')
		}
		if sum*10%11%10 != int(d[n]-'0') {
			return false
		}
	}
	return true
}

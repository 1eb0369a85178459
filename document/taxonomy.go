package document

import (
	"regexp"
	"slices"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// Category is a group of uses that policies for models restrict. Words gives the pattern that matches the text of a clause about it; it is never nil in AcceptableUse.
type Category struct {
	Name  string
	Means string // what is restricted, in a sentence
	Words func() *regexp.Regexp
}

// AcceptableUse are the groups of uses that published acceptable-use policies and responsible-AI licences restrict (the survey of 30 developers' policies and the RAIL clauses, methods §10), described in our own words.
var AcceptableUse = []Category{
	category("law", "breaking the law, or helping others to break it", `illegal|unlawful|\blaws?\b|regulations?\b|crim(?:e|es|inal)|contraband`),
	category("minors", "harming or sexualising children", `child(?:ren)?\b|minors?\b|under-?age|csam|grooming`),
	category("sexual content", "making sexual content", `sexual|porn|erotic|nudity|explicit content`),
	category("violence", "threatening, praising or inciting violence", `violen|terroris|threaten|incit|extremis|gore|\bkill`),
	category("weapons", "making or using weapons", `weapon|explosive|firearm|ammunition|biological|chemical agent|nuclear|radiolog`),
	category("self-harm", "encouraging people to hurt themselves", `self-?harm|suicid|eating disorder|anorexia`),
	category("hate", "hating or belittling groups of people", `\bhat(?:e|red|eful)|slur|dehumani|protected (?:class|group|characteristic)|racis|sexis`),
	category("harassment", "bullying, stalking or defaming people", `harass|bully|stalk|doxx|intimidat|defam|libel|abus(?:e|ive)`),
	category("discrimination", "treating people worse for what they are", `discriminat|disparate|unfair treatment|prejudic|social scor`),
	category("deception", "spreading false information or manipulating people", `misinformation|disinformation|\bfalse\b|mislead|decepti|decei|manipulat|propaganda|fake`),
	category("impersonation", "posing as somebody, or hiding that a machine speaks", `impersonat|pretend|pose as|disclos\w* that .{0,40}(?:ai|machine|automat|bot)|deepfake|undisclosed`),
	category("fraud", "cheating people out of money or goods", `fraud|scam|phish|ponzi|money launder|counterfeit|spam|identity theft`),
	category("privacy", "collecting or revealing what is personal", `privacy|personal (?:data|information)|\bpii\b|surveil|biometric|facial recognition|confidential|address of|date of birth`),
	category("security", "attacking computers or getting around protection", `malware|hack|exploit|vulnerabilit|cyber|ransomware|credential|unauthori[sz]ed access|circumvent|jailbreak|password`),
	category("intellectual property", "using what belongs to others", `copyright|trademark|intellectual property|patent|plagiar|infring|licen[cs]e of others`),
	category("professional advice", "giving medical, legal or financial advice that needs a professional", `medical|diagnos|health advice|legal advice|financial advice|investment|tax advice|prescri|therap`),
	category("automated decisions", "deciding about people's rights or chances without a person", `automated decision|fully automated|credit(?:worthiness| decision)|employment decision|eligib|parole|law enforcement|predict\w* .{0,30}crim|asylum|immigration`),
	category("elections", "campaigning, lobbying or disturbing elections", `election|campaign|politic|lobby|vot(?:e|er|ing)\b|candidate`),
	category("vulnerable people", "exploiting age, illness or need", `vulnerab|elderly|disabilit|exploit\w* .{0,40}(?:age|weakness|need)`),
	category("substances and gambling", "dealing in drugs, tobacco, alcohol or games of chance", `\bdrugs?\b|narcotic|tobacco|alcohol|gambl|betting|casino|controlled substance`),
	category("infrastructure", "running systems whose failure endangers people", `critical infrastructure|power grid|air traffic|nuclear facilit|heavy machinery|water supply|life-critical`),
	category("model misuse", "copying, reselling or reverse engineering the service", `reverse.engineer|resell|scrap(?:e|ing)\b|train\w* .{0,40}(?:model|competing)|model output|rate limit|extract\w* .{0,30}weights`),
}

func category(name, means, words string) Category {
	return Category{name, means, lazyregexp.New(`(?i)` + words).Regexp}
}

// Uses finds the clauses of a document about each category, by id in the order of the document. Words decide, so that a clause may be in several categories, and a category that is named in words which are not in its table is not found.
func (d *Document) Uses(categories []Category) map[string][]string {
	out := map[string][]string{}
	if d == nil {
		return out
	}
	for _, k := range categories {
		for _, c := range d.Clauses {
			if k.Words().MatchString(c.Text) {
				out[k.Name] = append(out[k.Name], c.ID)
			}
		}
	}
	return out
}

// Missing lists the categories about which a document has no clause; of a nil document none. Where another document is given, only those about which that one has a clause.
func (d *Document) Missing(categories []Category, other *Document) []Category {
	if d == nil {
		return nil
	}
	own := d.Uses(categories)
	theirs := other.Uses(categories)
	return slices.DeleteFunc(slices.Clone(categories), func(k Category) bool {
		return len(own[k.Name]) > 0 || other != nil && len(theirs[k.Name]) == 0
	})
}

// Package flow reads off a policy what becomes of text that arrives piece by piece: it flows where no rule can stop or change it, waits until it is whole where one can by what it says as a whole,
// and flows behind a window where every rule is silent as long as nothing of bounded length matches: literal texts, regular expressions, personal data. Of is computed once for a policy; a Window follows one text.
//
// Agents, scopes and overrides are left out of account: they only make a rule silent more often.
package flow

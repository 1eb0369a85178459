package conformance

// tauSources are the two editions of the suite and the database of each.
var tauSources = []struct{ name, db string }{
	{"tau2", "tau/db/retail.jsonl"},
	{"tau1", "tau/db/retail_v1.jsonl"},
}

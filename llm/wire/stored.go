package wire

// Stored is a wire whose provider keeps transcripts: a request may name the answer that it goes on from instead of sending everything again.
type Stored interface {
	Wire
	// Before is the answer that a request goes on from, and where the request names it; both are empty where it names none.
	Before(q *Request) (id, at string)
	// Owed are items that answer the calls of an answer which the client does not get, with what is said in place of them: the provider keeps the calls, and takes no request that leaves them open.
	Owed(r *Response, v *Verdict) [][]byte
	// Settle returns a request with items before its input. Pointers into the input hold no more.
	Settle(raw []byte, owed [][]byte) []byte
}

// Package serve is the HTTP door of a model: it speaks the chat completions of the OpenAI API, streamed and not, with tools, log-probabilities and answers that keep to a schema.
//
// What a request asks for is done or refused: a field that would change the answer and is not done is an error, one that changes nothing is passed over. Bodies are read strictly, so that the request which is answered is the one that everybody else reads.
package serve

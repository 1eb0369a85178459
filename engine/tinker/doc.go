// Package tinker speaks the training verbs over HTTP: Client is an engine whose work a server does, and Server offers engines to clients, ours or others'.
//
// The protocol is that of Tinker (Thinking Machines Lab) as SkyRL's server implements it: JSON posted under /api/v1, each long call answered with the id of a future that retrieve_future waits for. A datum carries tokens, targets and weights;
// with the loss cross_entropy the weights are W = −dLoss/dlogp, so every objective of package train/objective goes through it unchanged. The server also computes the losses that clients of others name.
//
// What the protocol does not say, ours says in further keys, which other programs do not notice: the size of vocabulary and context in get_info, and the kind of an error beside its category.
package tinker

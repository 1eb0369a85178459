// Package train is the loop: it reads one file of settings, brings rows and tasks to an engine in the order that a seed decides, asks package objective for W, takes optimizer steps, writes down what happened, and goes on after a kill where it stopped.
//
// A run is stages in a row: continued pre-training on texts (cpt), supervised training on answers (sft), preferences (preference) and practice with rewards (rl). All four are the same step: score a batch, prepare a view of it, let the recipe weigh the
// log-probabilities, step. They differ in where the samples of a batch come from, which is one function each.
//
// Everything that a step depends on is a function of settings, data and step number: order of rows, dice of samples, learning rate. So a run that resumes at a checkpoint repeats what it would have done, bit for bit where its engine does, and files of metrics are cut back to it.
//
// The package knows no model: the engine, the tokenizer (Text), judges of answers (Judge) and the clock are handed in. Bytes is the Text without a vocabulary, and engine.Table an engine without a network.
package train

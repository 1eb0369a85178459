// Package lsp is a language server for policy packs: findings while one types, the clause behind a rule and the rules behind a clause, completion of arguments and fact fields inside conditions, and a way to run a test from where it stands.
//
// It speaks the Language Server Protocol 3.17 over two streams (https://microsoft.github.io/language-server-protocol). A message is read by the strict decoder of the root package. What an editor has open and not yet saved lies over what the disk has,
// so that findings are those of the text on the screen. Positions count UTF-16 units, as the protocol does by default.
//
// One goroutine reads and one does everything else, so that nothing needs a lock. A pack is analysed when no message waits: while somebody types faster than a pack compiles only the last state is looked at.
package lsp

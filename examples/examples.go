// Package examples holds the packs of this folder for programs that show them. It is read only.
package examples

import "embed"

// Files has a folder for each pack, such as airline.
//
//go:embed airline/*.md airline/*.yaml airline/*.json airline/data airline/tests airline/conversations
var Files embed.FS

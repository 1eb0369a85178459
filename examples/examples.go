// Package examples holds the packs of this folder for programs that show them. It is read only.
package examples

import "embed"

// Files has a folder for each pack: airline, retail and workspace.
//
//go:embed airline/*.md airline/*.yaml airline/*.json airline/data airline/tests airline/conversations
//go:embed retail/*.md retail/*.yaml retail/*.json retail/data retail/tests retail/conversations
//go:embed workspace/*.md workspace/*.yaml workspace/*.json workspace/data workspace/tests workspace/conversations
var Files embed.FS

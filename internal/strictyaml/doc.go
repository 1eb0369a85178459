// Package strictyaml reads the YAML of settings and of other people's formats: one document of plain values.
//
// Anchors, aliases, merge keys and tags are refused before anything is decoded: a small file with them can stand for a huge one, and the decoder (goccy/go-yaml) panics on some tags. Errors have a place and words for the person who wrote the file, without names of Go types.
//
// Packs are read by policy/pack, which knows the position of every value and bounds what a file may ask for.
package strictyaml

// Package importer turns the policies of other systems into packs, one format in each file.
//
// What a pack cannot say exactly becomes an error, or a rule that lets less through with a warning beside it; never one that lets more through.
// A format reads files through fs.FS and returns the files of a pack as bytes, so that nothing here touches a disk.
package importer

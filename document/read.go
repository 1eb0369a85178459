package document

import (
	"bytes"
	"path"
	"strings"

	"github.com/proviso-dev/proviso"
)

// Read reads a document in the format that FormatOf sees in it: as Parse does for Markdown, and in the same manner for the others.
//
// In plain text and in what comes out of a PDF, headings are recognised by their numbers, capitals or underlines and items by their marks, which become labels.
// In HTML, what a browser would not show is not read, nor are navigation, controls and code. Changes that are tracked in a DOCX file are read as accepted.
// A file in which there is no text, such as a scan, or which cannot be read gives CodeNoText or CodeBroken and a document without clauses.
func Read(file string, src []byte) (*Document, proviso.Diagnostics) {
	f := FormatOf(file, src)
	return read(file, src, f, readers[f])
}

// readers are the formats with what reads them. Each adds sections and items; sources that are packed put the text into the document first.
var readers = map[Format]func(*reader){
	Markdown: (*reader).markdown,
	Plain:    (*reader).plain,
	HTML:     (*reader).html,
	DOCX:     (*reader).docx,
	PDF:      (*reader).pdf,
}

// FormatOf tells the format of a file by its first bytes, where these are those of a packed format, else by the end of its name; what is neither is Markdown.
func FormatOf(file string, src []byte) Format {
	switch head := src[:min(len(src), 1024)]; {
	case bytes.Contains(head, []byte("%PDF-")):
		return PDF
	case bytes.HasPrefix(src, []byte("PK\x03\x04")):
		return DOCX
	}
	switch strings.ToLower(path.Ext(file)) {
	case ".txt", ".text":
		return Plain
	case ".html", ".htm", ".xhtml":
		return HTML
	case ".docx":
		return DOCX
	case ".pdf":
		return PDF
	}
	return Markdown
}

func read(file string, src []byte, f Format, outline func(*reader)) (*Document, proviso.Diagnostics) {
	p := &reader{doc: &Document{File: file, Format: f, Source: src}, sections: map[string]bool{"text": true}, section: &section{slug: "text"}, again: map[string]int{}}
	if f == DOCX || f == PDF || p.readable() {
		p.lineStarts()
		outline(p)
	}
	p.assign()
	p.diags.Sort()
	return p.doc, p.diags
}

// Package pdf takes the text out of PDF files (ISO 32000-1), within bounds: what is unpacked, how many objects, pages and operators are read, and how deep they are nested is limited, whatever a file says about itself.
//
// Objects are found by scanning the file rather than by its cross-reference table, so that damaged files read as well as sound ones. Encrypted files and pictures of text are errors, each of its own kind.
// What is not read: text in forms and annotations, marked content that replaces text, fonts without a code table, and the LZW, JBIG2 and image filters.
package pdf

package lsp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxMessage bounds a message, in bytes; a file of the largest size that a pack may have fits in.
const maxMessage = 32 << 20

// maxHeader bounds the header of a message, in bytes.
const maxHeader = 4 << 10

var errHeader = errors.New("a message has no Content-Length")

// readFrame reads one message: header lines, an empty line, and as many bytes as Content-Length says. After an error other than io.EOF the stream cannot be read further, because nobody knows where the next message begins.
func readFrame(r *bufio.Reader) ([]byte, error) {
	length, size := -1, 0
	for {
		line, err := r.ReadSlice('\n')
		if size += len(line); size > maxHeader || errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("the header of a message is longer than %d bytes", maxHeader)
		}
		if err != nil {
			if errors.Is(err, io.EOF) && size > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			break
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok {
			return nil, fmt.Errorf("%q is no header of a message", text)
		}
		if strings.EqualFold(strings.TrimSpace(name), "Content-Length") {
			n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31)
			if err != nil || n > maxMessage {
				return nil, fmt.Errorf("a message of %s bytes; at most %d are read", strings.TrimSpace(value), maxMessage)
			}
			length = int(n)
		}
	}
	if length < 0 {
		return nil, errHeader
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return b, nil
}

// writeFrame writes one message.
func writeFrame(w io.Writer, b []byte) error {
	_, err := w.Write(append([]byte("Content-Length: "+strconv.Itoa(len(b))+"\r\n\r\n"), b...))
	return err
}

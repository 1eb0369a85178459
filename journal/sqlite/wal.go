package sqlite

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"
)

// tear is what the write-ahead log holds behind its last complete transaction.
type tear struct {
	frames  int // pages that belong to no complete transaction: a crash in the middle of one
	beyond  int // complete transactions behind a page that cannot be read: SQLite drops them, and no crash of one transaction explains them
	atFrame int // the page that cannot be read, from 1
}

// inspect reads a write-ahead log as SQLite's recovery will (sqlite.org/fileformat2.html#the_write_ahead_log), but goes on where that stops. A log that is not there is whole.
func inspect(path string) (t tear) {
	f, err := os.Open(path)
	if err != nil {
		return tear{}
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<16)
	var h [32]byte
	if _, err := io.ReadFull(in, h[:]); err != nil {
		return tear{}
	}
	magic := binary.BigEndian.Uint32(h[:])
	size := binary.BigEndian.Uint32(h[8:])
	if magic&^1 != 0x377f0682 || size < 512 || size > 65536 {
		return tear{}
	}
	var order binary.ByteOrder = binary.LittleEndian
	if magic&1 == 1 {
		order = binary.BigEndian
	}
	sum := [2]uint32{binary.BigEndian.Uint32(h[24:]), binary.BigEndian.Uint32(h[28:])}
	frame := make([]byte, 24+size)
	whole := true
	for n := 1; ; n++ {
		got, err := io.ReadFull(in, frame)
		if got < 24 || [8]byte(frame[8:16]) != [8]byte(h[16:24]) {
			// The rest of a transaction before the log began anew, or nothing.
			return t
		}
		if err != nil {
			t.frames++
			return t
		}
		sum = checksum(order, sum, frame[:8])
		sum = checksum(order, sum, frame[24:])
		said := [2]uint32{binary.BigEndian.Uint32(frame[16:]), binary.BigEndian.Uint32(frame[20:])}
		if said != sum {
			if whole {
				whole, t.atFrame = false, n
			}
			sum = said
		}
		commits := binary.BigEndian.Uint32(frame[4:]) != 0
		switch {
		case whole && commits:
			t.frames = 0
		case commits && n > t.atFrame:
			t.beyond++
			t.frames++
		default:
			t.frames++
		}
	}
}

func checksum(order binary.ByteOrder, sum [2]uint32, b []byte) [2]uint32 {
	for i := 0; i+8 <= len(b); i += 8 {
		sum[0] += order.Uint32(b[i:]) + sum[1]
		sum[1] += order.Uint32(b[i+4:]) + sum[0]
	}
	return sum
}

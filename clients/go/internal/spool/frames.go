package spool

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// The files of a spool consist of frames, each readable without the others (all numbers little-endian):
//
//	length of the body, u32 │ CRC-32 of the length and the body, u32 │ body: kind, u8 │ …
//
//	session  1 │ version u8 │ JSON {"deviceId", "sessionId"}        first in every file
//	batch    2 │ sequence u64 │ last u64 │ records u32 │ request    last > 0: a declaration of drops
//	settled  3 │ sequence u64                                      the batch is settled
//	written  4 │ sequence u64                                      batches up to this one may have arrived
type frame struct {
	kind     byte
	session  Session
	sequence uint64
	last     uint64
	records  uint32
	request  []byte
}

const (
	sessionKind = 1
	batchKind   = 2
	settledKind = 3
	writtenKind = 4

	version        = 1
	headBytes      = 8
	batchHeadBytes = 21
	// A batch is at most 1 MiB; a longer length is damage.
	bodyBytesMax = 2 << 20
)

var (
	errIncomplete = errors.New("incomplete or damaged frame")
	errVersion    = errors.New("the file belongs to another version of the client")
)

func (f *frame) encode() []byte {
	out := make([]byte, headBytes, headBytes+batchHeadBytes+len(f.request)+256)
	out = append(out, f.kind)
	switch f.kind {
	case sessionKind:
		name, _ := json.Marshal(f.session) // two strings: never fails
		out = append(append(out, version), name...)
	case batchKind:
		out = binary.LittleEndian.AppendUint64(out, f.sequence)
		out = binary.LittleEndian.AppendUint64(out, f.last)
		out = binary.LittleEndian.AppendUint32(out, f.records)
		out = append(out, f.request...)
	default:
		out = binary.LittleEndian.AppendUint64(out, f.sequence)
	}
	body := out[headBytes:]
	binary.LittleEndian.PutUint32(out, uint32(len(body)))
	binary.LittleEndian.PutUint32(out[4:], checksum(out[:4], body))
	return out
}

// readFrame decodes the first frame and returns its size. The request is a part of bytes.
func readFrame(bytes []byte) (frame, int, error) {
	if len(bytes) < headBytes {
		return frame{}, 0, errIncomplete
	}
	length := int(binary.LittleEndian.Uint32(bytes))
	if length == 0 || length > bodyBytesMax || headBytes+length > len(bytes) {
		return frame{}, 0, errIncomplete
	}
	body := bytes[headBytes : headBytes+length]
	if checksum(bytes[:4], body) != binary.LittleEndian.Uint32(bytes[4:]) {
		return frame{}, 0, errIncomplete
	}
	decoded, err := decodeBody(body)
	return decoded, headBytes + length, err
}

func decodeBody(body []byte) (frame, error) {
	f := frame{kind: body[0]}
	switch {
	case f.kind == sessionKind && len(body) > 2:
		if body[1] != version {
			return f, fmt.Errorf("%w: format version %d, this one reads %d", errVersion, body[1], version)
		}
		return f, json.Unmarshal(body[2:], &f.session)
	case f.kind == batchKind && len(body) >= batchHeadBytes:
		f.sequence = binary.LittleEndian.Uint64(body[1:])
		f.last = binary.LittleEndian.Uint64(body[9:])
		f.records = binary.LittleEndian.Uint32(body[17:])
		f.request = body[batchHeadBytes:]
		return f, nil
	case (f.kind == settledKind || f.kind == writtenKind) && len(body) == 9:
		f.sequence = binary.LittleEndian.Uint64(body[1:])
		return f, nil
	}
	return f, fmt.Errorf("%w: a frame of kind %d with %d bytes", errVersion, f.kind, len(body))
}

// The checksum covers the length too, the first four bytes of the head.
func checksum(length, body []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(length), crc32.IEEETable, body)
}

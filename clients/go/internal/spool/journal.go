package spool

import (
	"errors"
	"fmt"
	"path/filepath"
)

// segmentBytesMax is the size at which a new file begins.
const segmentBytesMax = 4 << 20

// Session identifies whose batches a journal holds.
type Session struct {
	DeviceID  string `json:"deviceId"`
	SessionID string `json:"sessionId"`
}

// Batch is a numbered batch, or a declaration that batches from Sequence to Last are dropped.
type Batch struct {
	Sequence uint64
	Last     uint64 // 0: a batch
	Records  int
	Request  []byte // a StreamLogsRequest; empty in a recovered batch: see Journal.Read
	Size     int    // of Request
	Written  bool   // recovered, and may have arrived
}

// Journal is one session's part of a spool: files RUN-NUMBER.spool, of which the last is appended to. The first file is
// removed when all of its batches are settled. When the files reach twice the allowed size, the batches still in the
// first are copied to the last, so one unsettled batch cannot retain every file after it. Not for concurrent use.
type Journal struct {
	Session  Session
	prefix   string // the path of the files up to their number
	number   int
	bytesMax int64
	segments []*segment
	batches  map[uint64]location
	written  uint64
}

func newJournal(session Session, prefix string, number int, bytesMax int64) *Journal {
	return &Journal{Session: session, prefix: prefix, number: number, bytesMax: bytesMax, batches: map[uint64]location{}}
}

// Append stores the batch, and returns the path of its file. When it fails nothing is stored.
func (j *Journal) Append(batch Batch) (string, error) {
	tail, err := j.tail()
	if err != nil {
		return "", err
	}
	f := frame{
		kind: batchKind, sequence: batch.Sequence, last: batch.Last,
		records: uint32(batch.Records), request: batch.Request,
	}
	offset, err := tail.append(f)
	if err != nil {
		return "", fmt.Errorf("the spool's %s cannot be written: %w", tail.path, err)
	}
	j.forget(batch.Sequence, max(batch.Sequence, batch.Last))
	j.keep(batch.Sequence, location{tail, offset, int(tail.size - offset)})
	_ = j.compact(2 * j.bytesMax) // the batch is stored; the next append tries again
	return tail.path, nil
}

// Read returns the request of a batch. ErrDamaged: it is lost.
func (j *Journal) Read(sequence uint64) ([]byte, error) {
	at, ok := j.batches[sequence]
	if !ok {
		return nil, fmt.Errorf("%w: batch %d is missing", ErrDamaged, sequence)
	}
	f, err := at.segment.read(at)
	if err == nil && (f.kind != batchKind || f.sequence != sequence) {
		err = fmt.Errorf("%w: batch %d is not where it was", ErrDamaged, sequence)
	}
	return f.request, err
}

// Written notes that batches up to this one may have arrived.
func (j *Journal) Written(sequence uint64) {
	if sequence <= j.written {
		return
	}
	j.written = sequence
	j.mark(frame{kind: writtenKind, sequence: sequence})
}

// Settled notes that the batch need not be sent again.
func (j *Journal) Settled(sequence uint64) {
	j.mark(frame{kind: settledKind, sequence: sequence})
	j.forget(sequence, sequence)
	j.removeFirst()
}

// A full disk must not stop a device from sending. Without the mark a batch is sent again once, which is harmless.
func (j *Journal) mark(f frame) {
	if tail, err := j.tail(); err == nil {
		_, _ = tail.append(f)
	}
}

func (j *Journal) keep(sequence uint64, at location) {
	at.segment.live++
	j.batches[sequence] = at
}

func (j *Journal) forget(first, last uint64) {
	if last-first > uint64(len(j.batches)) {
		for sequence := range j.batches {
			if first <= sequence && sequence <= last {
				j.forget(sequence, sequence)
			}
		}
		return
	}
	for sequence := first; sequence <= last; sequence++ {
		if at, ok := j.batches[sequence]; ok {
			at.segment.live--
			delete(j.batches, sequence)
		}
	}
}

func (j *Journal) tail() (*segment, error) {
	var last *segment
	if len(j.segments) > 0 {
		last = j.segments[len(j.segments)-1]
		if last.size < segmentBytesMax {
			return last, nil
		}
	}
	path := fmt.Sprintf("%s%08d.spool", j.prefix, j.number)
	created, err := createSegment(path, frame{kind: sessionKind, session: j.Session})
	if err != nil {
		return nil, fmt.Errorf("the spool's %s cannot be created: %w", path, err)
	}
	if last != nil {
		last.close()
	}
	j.number++
	j.segments = append(j.segments, created)
	return created, nil
}

func (j *Journal) removeFirst() {
	for len(j.segments) > 1 && j.segments[0].live == 0 {
		_ = j.segments[0].remove() // what cannot be removed is removed at the next start
		j.segments = j.segments[1:]
	}
}

// compact shrinks the files to bytesMax, or to the size of the unsettled batches if that is more.
func (j *Journal) compact(bytesMax int64) error {
	for left := len(j.segments); left > 1 && j.fileBytes() > bytesMax; left-- {
		first := j.segments[0]
		for sequence, at := range j.batches {
			if at.segment != first {
				continue
			}
			f, err := first.read(at)
			if err != nil {
				return err
			}
			tail, err := j.tail()
			if err != nil {
				return err
			}
			offset, err := tail.append(f)
			if err != nil {
				return err
			}
			first.live--
			j.keep(sequence, location{tail, offset, at.size})
		}
		if j.written > 0 { // the mark may be in the file that goes, and what was written must never be dropped
			j.mark(frame{kind: writtenKind, sequence: j.written})
		}
		if err := j.Sync(); err != nil { // a power loss could otherwise lose both copies
			return err
		}
		j.removeFirst()
	}
	return nil
}

func (j *Journal) fileBytes() int64 {
	sum := int64(0)
	for _, s := range j.segments {
		sum += s.size
	}
	return sum
}

// TakeDirty returns the files that are not on disk yet, for SyncFiles.
func (j *Journal) TakeDirty() []string {
	var paths []string
	for _, s := range j.segments {
		if s.dirty {
			paths = append(paths, s.path)
			s.dirty = false
		}
	}
	return paths
}

// SyncFiles brings files and their names to the disk. It may run beside everything else.
func SyncFiles(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	for _, path := range paths {
		if err := syncFile(path); err != nil {
			return err
		}
	}
	return syncFolder(filepath.Dir(paths[0]))
}

// Sync brings everything appended before to the disk.
func (j *Journal) Sync() error { return SyncFiles(j.TakeDirty()) }

// Remove deletes all files of the session.
func (j *Journal) Remove() error {
	var problems []error
	for _, s := range j.segments {
		problems = append(problems, s.remove())
	}
	j.segments = nil
	return errors.Join(problems...)
}

func (j *Journal) close() {
	for _, s := range j.segments {
		s.close()
	}
}

package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// Unsent logs are private, whatever the umask.
	fileMode   = 0o600
	folderMode = 0o700
)

// ErrDamaged: the disk returned something else than was written.
var ErrDamaged = errors.New("the spool is damaged")

// segment is one append-only file of frames. What append returned is in the kernel, and on disk after a sync.
type segment struct {
	path  string
	file  *os.File
	size  int64
	live  int // batches in it that are still kept
	dirty bool
	torn  bool // the file is longer than its complete frames
}

type location struct {
	segment *segment
	offset  int64
	size    int
}

func createSegment(path string, first frame) (*segment, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|os.O_APPEND, fileMode)
	if err != nil {
		return nil, err
	}
	s := &segment{path: path, file: file}
	if _, err := s.append(first); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

// loadSegment passes the complete frames of a file to visit; rest is the number of bytes after them.
func loadSegment(path string, visit func(f frame, at location)) (s *segment, rest int, err error) {
	if err := os.Chmod(path, fileMode); err != nil {
		return nil, 0, err
	}
	bytes, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, err
	}
	s = &segment{path: path}
	for {
		f, size, err := readFrame(bytes[s.size:])
		if errors.Is(err, errIncomplete) {
			break
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
		visit(f, location{s, s.size, size})
		s.size += int64(size)
	}
	return s, len(bytes) - int(s.size), nil
}

// append returns the offset of the frame. The next append, or loading, removes a frame that was written only partly.
func (s *segment) append(f frame) (int64, error) {
	if s.file == nil {
		file, err := os.OpenFile(s.path, os.O_RDWR|os.O_APPEND, fileMode)
		if err != nil {
			return 0, err
		}
		s.file = file
	}
	if s.torn {
		if err := s.file.Truncate(s.size); err != nil {
			return 0, err
		}
	}
	s.torn = true
	offset := s.size
	size, err := s.file.Write(f.encode())
	if err != nil {
		return 0, err
	}
	s.torn = false
	s.size += int64(size)
	s.dirty = true
	return offset, nil
}

func (s *segment) read(at location) (frame, error) {
	file := s.file
	if file == nil {
		opened, err := os.Open(s.path)
		if err != nil {
			return frame{}, err
		}
		defer opened.Close()
		file = opened
	}
	bytes := make([]byte, at.size)
	if _, err := file.ReadAt(bytes, at.offset); err != nil {
		return frame{}, err
	}
	f, _, err := readFrame(bytes)
	if err != nil {
		return frame{}, fmt.Errorf("%w: %s at byte %d", ErrDamaged, filepath.Base(s.path), at.offset)
	}
	return f, nil
}

// close ends appending; reading still works.
func (s *segment) close() {
	if s.file != nil {
		s.file.Close()
	}
	s.file = nil
}

func (s *segment) remove() error {
	s.close()
	return os.Remove(s.path)
}

// syncFile may run beside everything else. The file is gone when all of its batches were settled.
func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}

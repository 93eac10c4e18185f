// Package spool keeps batches in a folder across processes.
package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// Spool is a folder with `lock`, and for each session the files of its journal, named RUN-NUMBER.spool, where a run is
// the lifetime of one process. Batches of earlier runs keep their session; new batches start another one, so no number is
// assigned twice.
type Spool struct {
	Journal   *Journal
	Recovered []Recovered
	// Problems describes damage that was found, for a person to read.
	Problems []string
	lock     *os.File
}

// Recovered is a session that an earlier process left unsettled.
type Recovered struct {
	Journal *Journal
	Batches []Batch // by sequence
}

// Open locks the folder, created if missing, and reads it. Fails when another process uses it.
func Open(folder string, session Session, bytesMax int64) (*Spool, error) {
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return nil, fmt.Errorf("the spool %s cannot be used: %w", folder, err)
	}
	lock, err := acquireLock(filepath.Join(folder, "lock"))
	if err != nil {
		return nil, fmt.Errorf("the spool %s cannot be used: %w", folder, err)
	}
	spool := &Spool{lock: lock}
	if err := spool.read(folder, session, bytesMax); err != nil {
		spool.Close()
		return nil, fmt.Errorf("the spool %s cannot be read: %w", folder, err)
	}
	return spool, nil
}

var errInUse = errors.New("in use by another process")

func (s *Spool) read(folder string, session Session, bytesMax int64) error {
	if info, err := os.Stat(folder); err != nil {
		return err
	} else if info.Mode()&0o022 != 0 {
		s.Problems = append(s.Problems,
			fmt.Sprintf("other users may write to %s: use chmod 700, or they can remove batches", folder))
	}
	runs, err := filesByRun(folder)
	if err != nil {
		return err
	}
	last := 0
	for _, run := range runs {
		recovered, err := s.recover(folder, run)
		if err != nil {
			return err
		}
		if recovered != nil {
			s.Recovered = append(s.Recovered, *recovered)
		}
		last = run.number
	}
	s.Journal = newJournal(session, filePrefix(folder, last+1), 1, bytesMax)
	return nil
}

// Close leaves the batches in the folder for the next process.
func (s *Spool) Close() error {
	var err error
	if s.Journal != nil {
		err = s.Journal.Sync()
		s.Journal.close()
	}
	for _, recovered := range s.Recovered {
		recovered.Journal.close()
	}
	return errors.Join(err, s.lock.Close())
}

func filePrefix(folder string, run int) string {
	return filepath.Join(folder, fmt.Sprintf("%08d-", run))
}

type run struct {
	number int
	files  []string
}

var fileName = regexp.MustCompile(`^(\d{8})-(\d{8})\.spool$`)

// filesByRun returns the runs and the file names of each, both ascending.
func filesByRun(folder string) ([]run, error) {
	entries, err := os.ReadDir(folder) // sorted by name
	if err != nil {
		return nil, err
	}
	var runs []run
	for _, entry := range entries {
		match := fileName.FindStringSubmatch(entry.Name())
		if match == nil {
			continue
		}
		number, _ := strconv.Atoi(match[1]) // eight digits
		if len(runs) == 0 || runs[len(runs)-1].number != number {
			runs = append(runs, run{number: number})
		}
		last := &runs[len(runs)-1]
		last.files = append(last.files, entry.Name())
	}
	return runs, nil
}

// recover returns the unsettled batches of a run, or nothing, and removes the files, when all are settled.
func (s *Spool) recover(folder string, run run) (*Recovered, error) {
	lastFile := run.files[len(run.files)-1]
	next, _ := strconv.Atoi(fileName.FindStringSubmatch(lastFile)[2])
	journal := newJournal(Session{}, filePrefix(folder, run.number), next+1, 1<<62)
	kept := map[uint64]Batch{}
	written := uint64(0)
	for _, name := range run.files {
		path := filepath.Join(folder, name)
		frames := 0
		isWhole := false
		loaded, rest, err := loadSegment(path, func(f frame, at location) {
			isWhole = isWhole || frames == 0 && f.kind == sessionKind
			frames++
			switch {
			case !isWhole:
			case f.kind == sessionKind:
				journal.Session = f.session
			case f.kind == writtenKind:
				written = max(written, f.sequence)
			case f.kind == settledKind:
				journal.forget(f.sequence, f.sequence)
			case f.kind == batchKind:
				journal.forget(f.sequence, max(f.sequence, f.last))
				journal.keep(f.sequence, at)
				kept[f.sequence] = Batch{
					Sequence: f.sequence, Last: f.last, Records: int(f.records), Size: len(f.request),
				}
			}
		})
		if err != nil {
			return nil, err
		}
		switch {
		case isWhole:
			journal.segments = append(journal.segments, loaded)
			if rest > 0 { // A power loss leaves this at the end of the last file: a batch that no caller was promised.
				loaded.torn = true // the next append truncates it
				s.Problems = append(s.Problems, fmt.Sprintf("%s: %d bytes after %d frames are an incomplete frame "+
					"and are ignored", name, rest, frames))
			}
		case frames == 0 && rest == 0:
			if err := loaded.remove(); err != nil {
				return nil, err
			}
		default:
			if err := os.Rename(path, path+".damaged"); err != nil {
				return nil, err
			}
			s.Problems = append(s.Problems, name+": is not a spool file and was set aside")
		}
	}
	if len(journal.batches) == 0 {
		return nil, journal.Remove()
	}
	journal.written = written
	recovered := &Recovered{Journal: journal}
	size := int64(0)
	for sequence := range journal.batches {
		batch := kept[sequence]
		batch.Written = sequence <= written
		size += int64(batch.Size)
		recovered.Batches = append(recovered.Batches, batch)
	}
	slices.SortFunc(recovered.Batches, func(a, b Batch) int {
		if a.Sequence < b.Sequence {
			return -1
		}
		return 1
	})
	return recovered, journal.compact(2*size + segmentBytesMax)
}

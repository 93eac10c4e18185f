package fleetlog

import (
	"slices"

	"fleetlog/clients/go/internal/spool"
)

// entry is a batch, or a declaration, that is not settled. It is unsent: still to be written on the current link; or in
// flight: written, not acknowledged; or accepted: waiting to be committed.
type entry struct {
	sequence uint64
	last     uint64 // > 0: a declaration that replaces the batches from sequence to last, which will never arrive
	records  int
	request  []byte // nil when it is in the spool
	size     int
	state    entryState
	// wasWritten: on some link, so it may have arrived.
	wasWritten bool
	// wasAcknowledged: sent again until it is committed, it reports no second acknowledgement.
	wasAcknowledged bool
	// hasDevice: it carries the DeviceInfo.
	hasDevice bool
	// epoch in which it was accepted; 0: unknown.
	epoch uint64
}

type entryState int

const (
	unsent entryState = iota
	inFlight
	accepted
	settled
)

func (e *entry) isDeclaration() bool { return e.last > 0 }

func (e *entry) through() uint64 { return max(e.sequence, e.last) }

// pending holds every unsettled batch of a session, in memory or in its journal. Only the loop uses it.
type pending struct {
	journal  *spool.Journal // nil: in memory
	entries  []*entry       // by sequence
	unsent   []*entry       // by sequence
	drops    ranges         // what this device declared as dropped, settled or not
	accepted int
	bytes    int64
}

func bySequence(a, b *entry) int {
	switch {
	case a.sequence < b.sequence:
		return -1
	case a.sequence > b.sequence:
		return 1
	}
	return 0
}

func (p *pending) count() int { return len(p.entries) }

func (p *pending) nextUnsent() *entry {
	if len(p.unsent) == 0 {
		return nil
	}
	return p.unsent[0]
}

// add keeps an entry that is not written yet, and returns the path of its file, if any. When it fails nothing is kept.
func (p *pending) add(e *entry) (string, error) {
	path, err := p.store(e)
	if err == nil {
		p.restore(e)
	}
	return path, err
}

func (p *pending) store(e *entry) (string, error) {
	if p.journal == nil {
		return "", nil
	}
	batch := spool.Batch{Sequence: e.sequence, Last: e.last, Records: e.records, Request: e.request}
	path, err := p.journal.Append(batch)
	if err == nil {
		e.request = nil
	}
	return path, err
}

// restore is add for an entry that is in the journal.
func (p *pending) restore(e *entry) {
	p.entries = insert(p.entries, e)
	p.unsent = insert(p.unsent, e)
	p.bytes += int64(e.size)
	if e.isDeclaration() {
		p.drops.add(e.sequence, e.last)
	}
}

// read returns the request of an entry. spool.ErrDamaged: it is lost.
func (p *pending) read(e *entry) ([]byte, error) {
	if e.request != nil {
		return e.request, nil
	}
	return p.journal.Read(e.sequence)
}

// written marks nextUnsent.
func (p *pending) written() {
	e := p.unsent[0]
	p.unsent = p.unsent[1:]
	e.state = inFlight
	if !e.wasWritten && p.journal != nil {
		p.journal.Written(e.through())
	}
	e.wasWritten = true
}

// writeAgain sends entries again on the current link, or on the next.
func (p *pending) writeAgain(entries ...*entry) {
	for _, e := range entries {
		if e.state == accepted {
			p.accepted--
		}
		e.state = unsent
		e.epoch = 0
		p.unsent = append(p.unsent, e)
	}
	if len(entries) > 0 {
		slices.SortFunc(p.unsent, bySequence)
	}
}

func (p *pending) accept(e *entry, epoch uint64) {
	e.state = accepted
	e.wasAcknowledged = true
	e.epoch = epoch
	p.accepted++
}

// choose returns the entries for which is holds, by sequence, at most max.
func (p *pending) choose(max int, is func(*entry) bool) []*entry {
	var chosen []*entry
	for _, e := range p.entries {
		if len(chosen) >= max {
			break
		}
		if is(e) {
			chosen = append(chosen, e)
		}
	}
	return chosen
}

// settle forgets entries.
func (p *pending) settle(entries ...*entry) {
	p.remove(entries)
	if p.journal != nil {
		for _, e := range entries {
			p.journal.Settled(e.sequence)
		}
	}
}

// replace puts a declaration in the place of entries, the first of which has its number. When the journal fails, nothing
// changes.
func (p *pending) replace(entries []*entry, declaration *entry) error {
	if _, err := p.store(declaration); err != nil { // the journal then knows that the others are settled
		return err
	}
	p.remove(entries)
	p.restore(declaration)
	return nil
}

func (p *pending) remove(entries []*entry) {
	wasUnsent := false
	for _, e := range entries {
		if e.state == accepted {
			p.accepted--
		}
		wasUnsent = wasUnsent || e.state == unsent
		e.state = settled
		p.bytes -= int64(e.size)
	}
	isSettled := func(e *entry) bool { return e.state == settled }
	if wasUnsent {
		p.unsent = slices.DeleteFunc(p.unsent, isSettled)
	}
	if len(entries) == 1 && len(p.entries) > 0 && p.entries[0] == entries[0] { // as a rule
		p.entries[0] = nil
		p.entries = p.entries[1:]
		return
	}
	p.entries = slices.DeleteFunc(p.entries, isSettled)
}

func insert(entries []*entry, e *entry) []*entry {
	at, _ := slices.BinarySearchFunc(entries, e, bySequence)
	return slices.Insert(entries, at, e)
}

// ranges are sequences, ascending and without overlaps.
type ranges [][2]uint64

func (r *ranges) add(first, last uint64) {
	kept := (*r)[:0:0]
	for _, other := range *r {
		if other[1]+1 < first || other[0] > last+1 {
			kept = append(kept, other)
			continue
		}
		first, last = min(first, other[0]), max(last, other[1])
	}
	kept = append(kept, [2]uint64{first, last})
	slices.SortFunc(kept, func(a, b [2]uint64) int {
		if a[0] < b[0] {
			return -1
		}
		return 1
	})
	*r = kept
}

// countUntil is how many of the sequences are not above this one.
func (r ranges) countUntil(sequence uint64) uint64 {
	count := uint64(0)
	for _, one := range r {
		if one[0] <= sequence {
			count += min(one[1], sequence) - one[0] + 1
		}
	}
	return count
}

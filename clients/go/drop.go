package fleetlog

// declare replaces a batch by a declaration, so that the server does not miss its number. False: the disk refuses.
func (d *delivery) declare(e *entry, reason string) bool {
	return d.declareAll([]*entry{e}, reason) == nil
}

// declareAll replaces entries without a gap between them.
func (d *delivery) declareAll(entries []*entry, reason string) error {
	first, last := entries[0].sequence, entries[len(entries)-1].through()
	request := encodeDropped(d.session, first, last, reason)
	return d.pending.replace(entries, &entry{sequence: first, last: last, request: request, size: len(request)})
}

// dropOldest frees capacity. Accepted batches go first, because they are on disk at the server. Then it drops the oldest
// batches that were never written, an eighth of the limit at once, and replaces them by one declaration, which also
// absorbs the declaration before it if that was not written either. Written batches stay: they may be stored, and one
// number must not mean two batches. So only the batches in flight and one declaration can exceed the limit.
func (d *delivery) dropOldest(isOver func() bool) {
	for isOver() {
		oldest := d.pending.choose(1, func(e *entry) bool { return e.state == accepted })
		if len(oldest) == 0 {
			break
		}
		d.pending.settle(oldest...)
		if !oldest[0].isDeclaration() {
			d.client.emit(Released{d.name(oldest[0])})
		}
	}
	for isOver() {
		chosen := d.oldestUnwritten((d.client.options.PendingBatches + 7) / 8)
		isAny := false
		for _, e := range chosen {
			isAny = isAny || !e.isDeclaration()
		}
		if !isAny || d.declareAll(chosen, "spool full") != nil {
			return
		}
		for _, e := range chosen {
			if e.isDeclaration() {
				continue
			}
			d.client.deviceLost(e)
			d.client.emit(Dropped{d.name(e), "the limit of pending batches is reached"})
		}
	}
}

// oldestUnwritten returns batches, at most max, with the declarations before and among them, without a gap.
func (d *delivery) oldestUnwritten(max int) []*entry {
	var chosen []*entry
	batches := 0
	for _, e := range d.pending.unsent {
		if e.wasWritten {
			continue
		}
		if isGap := len(chosen) > 0 && chosen[len(chosen)-1].through()+1 != e.sequence; isGap {
			if batches > 0 {
				break
			}
			chosen = chosen[:0] // only declarations: they free nothing
		}
		if !e.isDeclaration() {
			if batches == max {
				break
			}
			batches++
		}
		chosen = append(chosen, e)
	}
	return chosen
}

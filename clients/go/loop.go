package fleetlog

import "time"

// loop runs functions one after the other. All state of a client belongs to it, so nothing else is locked. Functions in
// the loop never wait: neither for the network nor for the caller.
type loop struct {
	work    chan func()
	done    chan struct{}
	stopped chan struct{}
}

func startLoop() *loop {
	l := &loop{work: make(chan func(), 64), done: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		defer close(l.stopped)
		for {
			select {
			case f := <-l.work:
				f()
			case <-l.done:
				return
			}
		}
	}()
	return l
}

// post hands a function to the loop; false: the loop has ended. Not to be called in the loop.
func (l *loop) post(f func()) bool {
	select {
	case <-l.done:
		return false
	default:
	}
	select {
	case l.work <- f:
		return true
	case <-l.done:
		return false
	}
}

// call is post, and waits until the function has run.
func (l *loop) call(f func()) bool {
	finished := make(chan struct{})
	if !l.post(func() { f(); close(finished) }) {
		return false
	}
	select {
	case <-finished:
		return true
	case <-l.done:
		return false
	}
}

// stop returns when nothing runs in the loop any more.
func (l *loop) stop() {
	close(l.done)
	<-l.stopped
}

// timer runs a function in the loop, unless it is stopped in the loop before that.
type timer struct {
	timer     *time.Timer
	isStopped bool
}

func (l *loop) after(delay time.Duration, f func()) *timer {
	t := &timer{}
	t.timer = time.AfterFunc(delay, func() {
		l.post(func() {
			if !t.isStopped {
				t.isStopped = true
				f()
			}
		})
	})
	return t
}

func (t *timer) stop() {
	if t != nil {
		t.isStopped = true
		t.timer.Stop()
	}
}

func (t *timer) isRunning() bool { return t != nil && !t.isStopped }

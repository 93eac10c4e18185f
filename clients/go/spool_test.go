package fleetlog

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlog/clients/go/fleetlogv1"
)

func spoolFiles(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.spool"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// leave returns a folder in which a client that never got an answer left batches.
func leave(t *testing.T, session string, messages ...string) string {
	t.Helper()
	silent := newPeer(t)
	silent.answer = func(int, *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) { return nil, errSilence }
	folder := filepath.Join(t.TempDir(), "spool")
	client, _ := open(t, Options{Address: silent.address, Spool: folder, SessionID: session, InFlightBatches: 2})
	send(t, client, messages...)
	silent.wait("two batches", func() bool { return len(silent.seen) == 2 })
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestSendsWhatAnEarlierProcessLeftFirstAndUnderItsNumbers(t *testing.T) {
	folder := leave(t, "boot-1", names(5)...)
	p := newPeer(t)
	client, events := open(t, Options{Address: p.address, Spool: folder})
	send(t, client, "new")
	flushAll(t, client)
	equal(t, p.sequencesNow(), []string{"1", "2", "3", "4", "5", "1"})
	for index, request := range p.seen {
		if isOld := request.Batch.SessionId == "boot-1"; isOld != (index < 5) || isOld && request.UptimeNano != 0 {
			t.Fatalf("%d: %v", index, request)
		}
	}
	for index, ack := range eventsOf[Acknowledged](events) {
		if ack.IsRecovered != (index < 5) {
			t.Fatalf("%d: %v", index, ack)
		}
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	again, _ := open(t, Options{Address: p.address, Spool: folder})
	flushAll(t, again)
	if files := spoolFiles(t, folder); len(files) != 0 {
		t.Fatalf("%v", files)
	}
	equal(t, p.sequencesNow(), []string{"1", "2", "3", "4", "5", "1"})
}

func TestKeepsEveryRecordThatLogTookWhenItIsClosed(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "spool")
	client, _ := open(t, Options{Spool: folder, Address: "127.0.0.1:1"})
	if err := client.Log(t.Context(), Record{Message: "last words"}); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	p := newPeer(t)
	again, _ := open(t, Options{Spool: folder, Address: p.address})
	flushAll(t, again)
	if got := p.seen[0].Batch.Records[0].Message; got != "last words" {
		t.Fatal(got)
	}
}

func TestASpoolBelongsToOneProcessAtATime(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "spool")
	client, _ := open(t, Options{Spool: folder})
	if _, err := Open(Options{DeviceID: "other", Spool: folder}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, Options{Spool: folder})
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("%v %v", info.Mode(), err)
	}
}

func TestATornTailCostsOnlyTheLastBatch(t *testing.T) {
	folder := leave(t, "boot-1", names(5)...)
	files := spoolFiles(t, folder)
	last := files[len(files)-1]
	content, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndex(string(content), "batch-5")
	for _, damage := range [][]byte{content[:at+3], append(append([]byte{}, content[:at]...), "BATCH-5"...)} {
		if err := os.WriteFile(last, damage, 0o600); err != nil {
			t.Fatal(err)
		}
		p := newPeer(t)
		client, events := open(t, Options{Address: p.address, Spool: copyFolder(t, folder)})
		flushAll(t, client)
		equal(t, p.sequencesNow(), []string{"1", "2", "3", "4"})
		if problems := eventsOf[Problem](events); len(problems) != 1 || !strings.Contains(problems[0].Reason, "incomplete frame") {
			t.Fatalf("%v", problems)
		}
	}
}

func TestABatchThatTheDiskLostIsDeclaredAsDropped(t *testing.T) {
	silent := newPeer(t)
	isSilent := true
	silent.answer = func(int, *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
		if isSilent {
			return nil, errSilence
		}
		return &fleetlogv1.Ack{}, nil
	}
	folder := filepath.Join(t.TempDir(), "spool")
	client, events := open(t, Options{Address: silent.address, Spool: folder, InFlightBatches: 1})
	send(t, client, names(3)...)
	silent.wait("a batch", func() bool { return len(silent.seen) == 1 })
	file := spoolFiles(t, folder)[0]
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	damaged := strings.Replace(string(content), "batch-2", "BATCH-2", 1)
	if err := os.WriteFile(file, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	silent.mu.Lock()
	isSilent = false
	silent.mu.Unlock()
	silent.endStreams()
	flushAll(t, client)
	if dropped := eventsOf[Dropped](events); len(dropped) != 1 || dropped[0].Sequence != 2 {
		t.Fatalf("%v", dropped)
	}
	if !slices.Contains(silent.sequencesNow(), "2-2") {
		t.Fatalf("%v", silent.sequencesNow())
	}
}

func TestSpoolFilesStaySmallAroundOneBatchThatIsNotSettled(t *testing.T) {
	p := newPeer(t)
	p.answer = func(_ int, batch *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
		if batch.Sequence == 1 && len(p.seen) < 60 {
			return refusal(8, "later", time.Millisecond), nil
		}
		return &fleetlogv1.Ack{}, nil
	}
	folder := filepath.Join(t.TempDir(), "spool")
	client, events := open(t, Options{Address: p.address, Spool: folder, PendingBytes: 6 << 20})
	for range 60 {
		send(t, client, strings.Repeat("x", 512<<10))
	}
	flushAll(t, client)
	if n := len(acknowledged(events)); n != 60 {
		t.Fatalf("%d acknowledged", n)
	}
	if files := spoolFiles(t, folder); len(files) > 4 {
		t.Fatalf("%d files", len(files))
	}
}

func TestADropInTheSpoolIsRememberedAndWhatWasWrittenIsNeverDropped(t *testing.T) {
	folder := leave(t, "boot-1", names(20)...) // 1 and 2 were written
	client, events := open(t, Options{
		Address: "127.0.0.1:1", Spool: folder, OnFull: DropOldest, PendingBatches: 8, SessionID: "boot-2",
	})
	send(t, client, "new")
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	for _, dropped := range eventsOf[Dropped](events) {
		if dropped.SessionID != "boot-1" || dropped.Sequence <= 2 {
			t.Fatalf("%v", dropped)
		}
	}
	p := newPeer(t)
	again, _ := open(t, Options{Address: p.address, Spool: folder})
	flushAll(t, again)
	arrived := ranges{}
	for _, request := range p.seen {
		if request.Batch.SessionId == "boot-1" {
			arrived.add(request.Batch.Sequence, max(request.Batch.Sequence, request.Batch.Dropped.GetLastSequence()))
		}
	}
	if len(arrived) != 1 || arrived[0] != [2]uint64{1, 20} || len(p.seen) > 10 {
		t.Fatalf("%v in %d", arrived, len(p.seen))
	}
}

func copyFolder(t *testing.T, folder string) string {
	t.Helper()
	other := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(other, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(other, 0o700); err != nil {
		t.Fatal(err)
	}
	return other
}

package actors

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// crowd are actors that pass a message on, each to the next one.
func crowd(b *testing.B, n int) (begin func(hops int), each float64) {
	b.Helper()
	system := NewSystem(Options{})
	b.Cleanup(func() { _ = system.Shutdown(b.Context()) })
	var over sync.WaitGroup
	mailboxes := make([]*guardedMailbox, n)
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("actor ", i)
	}
	before := inUse()
	for i := range mailboxes {
		next := &mailboxes[(i+7919)%n]
		a := &probe{receive: func(_ *Context, message any) error {
			left := message.(*int)
			if *left--; *left > 0 {
				(*next).PostUserMessage(left)
			} else {
				over.Done()
			}
			return nil
		}, restless: func() bool { return false }}
		if _, err := system.Spawn(names[i], func() Actor { return a }); err != nil {
			b.Fatal(err)
		}
		r, _ := system.named.Load(names[i])
		mailboxes[i] = r.(*root).mailbox
		over.Add(1)
		left := 1
		mailboxes[i].PostUserMessage(&left)
	}
	over.Wait()
	each = float64(inUse()-before) / float64(n)
	return func(hops int) {
		over.Add(1)
		mailboxes[0].PostUserMessage(&hops)
		over.Wait()
	}, each
}

func inUse() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkHop is one message from one actor to another: of few, which stay in the
// caches, and of many. B/actor is what an idle one takes, its Actor included.
func BenchmarkHop(b *testing.B) {
	for _, n := range []int{16, 20_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			begin, each := crowd(b, n)
			b.ReportAllocs()
			b.ResetTimer()
			begin(b.N)
			b.ReportMetric(each, "B/actor")
		})
	}
}

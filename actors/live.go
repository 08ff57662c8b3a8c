package actors

import (
	"reflect"
	"sync"
	"sync/atomic"
)

// live counts the actors in memory by the type of their Actor, of which there are
// few. Safe for concurrent use.
type live struct{ types sync.Map } // reflect.Type -> *atomic.Int64

// add counts one, and gives the number that it is in.
func (l *live) add(a Actor) *atomic.Int64 {
	n, ok := l.types.Load(reflect.TypeOf(a))
	if !ok {
		n, _ = l.types.LoadOrStore(reflect.TypeOf(a), new(atomic.Int64))
	}
	count := n.(*atomic.Int64)
	count.Add(1)
	return count
}

// of is how many there are of a type.
func (l *live) of(a Actor) int64 {
	if n, ok := l.types.Load(reflect.TypeOf(a)); ok {
		return n.(*atomic.Int64).Load()
	}
	return 0
}

func (l *live) counts() map[string]int64 {
	all := make(map[string]int64)
	l.types.Range(func(t, n any) bool {
		all[t.(reflect.Type).String()] = n.(*atomic.Int64).Load()
		return true
	})
	return all
}

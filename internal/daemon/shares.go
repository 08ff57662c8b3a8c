package daemon

import "sync"

// shares are places that are taken for a time: as many as there are, and for each token
// no more than greed times what is free. However much one takes, something is left for
// the others. Safe for concurrent use.
type shares struct {
	places int

	mu    sync.Mutex
	taken int
	by    map[string]int // ids of tokens, of those who have any
}

// greed lets one token alone have three quarters.
const greed = 3

func newShares(places int) *shares { return &shares{places: places, by: make(map[string]int)} }

// take takes n places for a token. release, which is called once, gives them back;
// without it there is no room.
func (s *shares) take(id string, n int) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if free := s.places - s.taken; n > free || s.by[id]+n > greed*free {
		return nil
	}
	s.taken += n
	s.by[id] += n
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.taken -= n
		if s.by[id] -= n; s.by[id] == 0 {
			delete(s.by, id)
		}
	}
}

// inUse is how many places are taken.
func (s *shares) inUse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

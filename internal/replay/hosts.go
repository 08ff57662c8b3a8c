package replay

import "fmt"

// hosts are the installations of one transcript under the full rules.
type hosts struct {
	stores Stores
	nodes  map[string]*hosted
}

// step runs a step of a transcript after the first pass has run it on n and
// reported first.
func (h *hosts) step(n *installed, s *step, first *Step) (Step, error) {
	rep := Step{I: s.I, Cmd: s.Cmd, Node: s.Node, Status: Equal}
	if n == nil {
		rep.outside(NotSupported, "step", "transcript of the group hash ratchet, which is outside the specifications")
		return rep, nil
	}
	if s.Cmd == "init" {
		host := newHosted(n, h.stores())
		if err := host.open(s.Clock); err != nil {
			return rep, malformed(fmt.Sprintf("step %d", s.I), "installation: %w", err)
		}
		h.nodes[s.Node] = host
	}
	h.nodes[s.Node].step(s, first, &rep)
	if rep.Status == Explained && first.Status == Differs {
		rep.differs(KindValue, "answer", "not one that the reference can have given: names are for those only")
	}
	return rep, nil
}

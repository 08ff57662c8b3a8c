package actors

import "slices"

// fewChildren is up to how many children are looked through for a name. Most actors
// have one or two.
const fewChildren = 8

// offspring are the children of one kind that live, by their names.
type offspring struct {
	few  []*child
	many map[string]*child // all of them; nil: there were never more than a few
}

// find gives the child of that name, nil if there is none.
func (o *offspring) find(name string) *child {
	if o.many != nil {
		return o.many[name]
	}
	for _, c := range o.few {
		if c.name == name {
			return c
		}
	}
	return nil
}

// findBytes is find for whoever has the name as bytes.
func (o *offspring) findBytes(name []byte) *child {
	if o.many != nil {
		return o.many[string(name)]
	}
	for _, c := range o.few {
		if c.name == string(name) {
			return c
		}
	}
	return nil
}

// add takes one whose name no other one has.
func (o *offspring) add(c *child) {
	switch {
	case o.many != nil:
		o.many[c.name] = c
	case len(o.few) < fewChildren:
		o.few = append(o.few, c)
	default:
		o.many = make(map[string]*child, 2*fewChildren)
		for _, known := range append(o.few, c) {
			o.many[known.name] = known
		}
		o.few = nil
	}
}

func (o *offspring) remove(c *child) {
	if o.many == nil {
		o.few = slices.DeleteFunc(o.few, func(known *child) bool { return known == c })
		return
	}
	if delete(o.many, c.name); len(o.many) == 0 {
		o.many = nil // a map keeps its room
	}
}

func (o *offspring) len() int { return len(o.few) + len(o.many) }

// all is each of them in no order, while none comes or goes.
func (o *offspring) all(yield func(*child) bool) {
	for _, c := range o.few {
		if !yield(c) {
			return
		}
	}
	for _, c := range o.many {
		if !yield(c) {
			return
		}
	}
}

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// tree is a mapping of YAML in the order in which it is written. Values are strings,
// numbers, booleans, lists of strings, lists of trees, and trees.
type tree []pair

type pair struct {
	key   string
	value any
}

// write writes the lines of a tree, each behind the indentation.
func (t tree) write(b *strings.Builder, indent string) {
	for _, p := range t {
		b.WriteString(indent + p.key + ":")
		switch v := p.value.(type) {
		case tree:
			if len(v) == 0 {
				b.WriteString(" {}\n")
				continue
			}
			b.WriteByte('\n')
			v.write(b, indent+"  ")
		case []tree:
			if len(v) == 0 {
				b.WriteString(" []\n")
				continue
			}
			b.WriteByte('\n')
			for _, one := range v {
				var inner strings.Builder
				one.write(&inner, indent+"    ")
				b.WriteString(indent + "  - " + strings.TrimPrefix(inner.String(), indent+"    "))
			}
		case []string:
			if len(v) == 0 {
				b.WriteString(" []\n")
				continue
			}
			b.WriteByte('\n')
			for _, one := range v {
				b.WriteString(indent + "  - " + strconv.Quote(one) + "\n")
			}
		case string:
			b.WriteString(" " + strconv.Quote(v) + "\n")
		default:
			b.WriteString(fmt.Sprintf(" %v\n", v))
		}
	}
}

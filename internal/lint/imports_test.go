package lint

import (
	"go/ast"
	"strconv"
	"strings"
)

// place is where a folder stands in the order of the house: code imports only
// from places below its own. Folders at the same place do not know each other.
// The root package is ".".
var place = map[string]int{
	"internal/secret":      0,
	"internal/metrics":     0,
	"internal/sha256block": 0,
	"internal/aesctr":      0,
	"internal/hmacsha256":  1,
	"actors":               0,
	"persistence":          1,
	"internal/curve":       1,
	"internal/account":     1,
	"proto":                1,
	"internal/keypool":     2,
	"keep":                 2,
	"x3dh":                 2,
	"ratchet":              2,
	"transport":            3,
	"transport/carrier":    2,
	"transport/envelope":   3,
	"transport/segment":    3,
	"transport/topic":      3,
	"transport/courier":    4,
	"internal/fingerprint": 3,
	"bundleactor":          4,
	"sessionactor":         4,
	"deviceactor":          5,
	"cause":                6,
	".":                    7,
	"internal":             8,
	"cmd":                  9,
	"examples":             9,
}

// placeOf finds the most specific entry for a folder.
func placeOf(folder string) (area string, rank int, known bool) {
	for area = folder; ; {
		if rank, known = place[area]; known {
			return area, rank, true
		}
		cut := strings.LastIndexByte(area, '/')
		if cut < 0 {
			return "", 0, false
		}
		area = area[:cut]
	}
}

// importsPointOneWay holds the order above. Tests may look anywhere.
func importsPointOneWay(t *tree) []violation {
	var broken []violation
	for _, f := range t.goFiles() {
		if f.isTest() {
			continue
		}
		area, rank, known := placeOf(f.folder())
		if !known {
			broken = append(broken, t.at(f, f.syntax.Package, "folder %s has no place in the order of imports", f.folder()))
			continue
		}
		for _, imported := range f.imports() {
			folder, own := ownFolder(imported.path)
			if !own {
				continue
			}
			below, belowRank, known := placeOf(folder)
			// Packages of "internal" stand side by side, not inside each other.
			sameArea := area == below && area != "."
			if known && !sameArea && belowRank >= rank {
				broken = append(broken, t.at(f, imported.pos, "%s must not import %s", f.folder(), folder))
			}
		}
	}
	return broken
}

// coreFolders are the pure packages.
var coreFolders = []string{"x3dh", "ratchet"}

// coreForbidden are the packages that would give the core a clock of its own,
// randomness, a log, a disk, a network, or an actor. Prefixes of import paths.
var coreForbidden = []string{
	"crypto/rand",
	"github.com/asynkron/protoactor-go",
	"github.com/cockroachdb/pebble",
	"log",
	"math/rand",
	"net",
	"os",
	"syscall",
	modulePath + "/actors",
	modulePath + "/persistence",
	modulePath + "/transport",
}

// clockFunctions are what package time offers besides values.
var clockFunctions = map[string]bool{
	"After": true, "AfterFunc": true, "NewTicker": true, "NewTimer": true, "Now": true,
	"Since": true, "Sleep": true, "Tick": true, "Until": true,
}

// coreIsPure holds that x3dh and ratchet import nothing that acts, never ask
// the clock and start no goroutine.
func coreIsPure(t *tree) []violation {
	var broken []violation
	for _, f := range t.goFiles() {
		if f.isTest() || !f.in(coreFolders...) {
			continue
		}
		for _, imported := range f.imports() {
			if within(imported.path, coreForbidden...) {
				broken = append(broken, t.at(f, imported.pos, "the core must not import %s", imported.path))
			}
		}
		clock := f.localName("time")
		ast.Inspect(f.syntax, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.GoStmt:
				broken = append(broken, t.at(f, node.Pos(), "the core must not start a goroutine"))
			case *ast.SelectorExpr:
				name, isName := node.X.(*ast.Ident)
				if isName && name.Name == clock && clockFunctions[node.Sel.Name] {
					broken = append(broken, t.at(f, node.Pos(), "the core must not ask the clock: time.%s", node.Sel.Name))
				}
			}
			return true
		})
	}
	return broken
}

// localName is the name a file uses for a package of the standard library,
// empty when it does not import it.
func (f file) localName(imported string) string {
	for _, spec := range f.syntax.Imports {
		if spec.Path.Value != strconv.Quote(imported) {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return imported
	}
	return ""
}

// implementations are the packages behind the ports.
var implementations = []string{"persistence/memory", "persistence/pebble", "transport/memory", "transport/carrier/memory", "transport/carrier/wakurest", "transport/carrier/wakurelay", "transport/carrier/jetstream"}

// onlyTheRootAndCommandsChoose holds that everything else is written against
// the ports. Only the root and the commands, tests and examples name a store
// or a transport.
func onlyTheRootAndCommandsChoose(t *tree) []violation {
	var broken []violation
	for _, f := range t.goFiles() {
		if f.isTest() || f.folder() == "." || f.in("cmd", "examples") {
			continue
		}
		for _, imported := range f.imports() {
			folder, own := ownFolder(imported.path)
			if !own {
				continue
			}
			for _, implementation := range implementations {
				if within(folder, implementation) && !f.in(implementation) {
					broken = append(broken, t.at(f, imported.pos, "only the root, cmd, examples and tests may choose %s", folder))
				}
			}
		}
	}
	return broken
}

// faultyDisk is the part of Pebble that is a disk which can crash and fail. It is
// no database: tests of everything that lies on a disk may use it.
const faultyDisk = "github.com/cockroachdb/pebble/v2/vfs"

// keepers name the only folders that may import a library, tests included.
var keepers = map[string][]string{
	"github.com/asynkron/protoactor-go": {"actors", "sessionactor", "deviceactor", "bundleactor"},
	"github.com/cockroachdb/pebble":     {"persistence/pebble"},
	"github.com/libp2p":                 {"transport/carrier/wakurelay"},
	"github.com/nats-io":                {"transport/carrier/jetstream"},
	"connectrpc.com/connect":            {"internal/daemon", "proto/api/v1"},
	"go.opentelemetry.io/otel":          {".", "internal/metrics", "internal/daemon", "cmd/rookery"},
	"github.com/prometheus":             {"cmd/rookery"},
}

// librariesStayWithTheirKeepers holds that a library can be replaced in the
// folders that are named after its job.
func librariesStayWithTheirKeepers(t *tree) []violation {
	var broken []violation
	for _, f := range t.goFiles() {
		for _, imported := range f.imports() {
			if f.isTest() && within(imported.path, faultyDisk) {
				continue
			}
			for library, folders := range keepers {
				if within(imported.path, library) && !f.in(folders...) {
					broken = append(broken, t.at(f, imported.pos, "%s is for %s only", imported.path, strings.Join(folders, ", ")))
				}
			}
		}
	}
	return broken
}

package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// maxRootNames is how many exported names the root package may have: what one person
// can look over.
const maxRootNames = 59

// rootIsSmall holds that the root package has few exported names of its own, methods
// and fields not counted.
func rootIsSmall(t *tree) []violation {
	var broken []violation
	names := 0
	for _, f := range t.goFiles() {
		if f.isTest() || f.folder() != "." {
			continue
		}
		for _, name := range exportedNames(f.syntax) {
			if names++; names > maxRootNames {
				broken = append(broken, t.at(f, name.Pos(), "%s is exported name %d of the root package, which may have %d", name.Name, names, maxRootNames))
			}
		}
	}
	return broken
}

// exportedNames are the exported identifiers that a file declares at its top.
func exportedNames(f *ast.File) []*ast.Ident {
	var names []*ast.Ident
	for _, declaration := range f.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				names = append(names, d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name)
				case *ast.ValueSpec:
					names = append(names, s.Names...)
				}
			}
		}
	}
	return slices.DeleteFunc(names, func(name *ast.Ident) bool { return !name.IsExported() })
}

const (
	errorGlossary = "docs/errors.md"
	guarantees    = "docs/guarantees.md"
)

// errorsOfUsers are the packages whose errors the glossary explains.
var errorsOfUsers = []string{".", "cause"}

// glossaryLine begins the line of one error.
var glossaryLine = regexp.MustCompile("^\\| `(Err[A-Za-z]+)` \\|")

// errorsAreExplained holds that the glossary has one line for each error that users
// of the engine meet, and for no other.
func errorsAreExplained(t *tree) []violation {
	explained := map[string]bool{}
	var broken []violation
	declared := map[string]bool{}
	for _, f := range t.files {
		if f.path == errorGlossary {
			eachLine(f, func(_ int, line string) {
				if m := glossaryLine.FindStringSubmatch(line); m != nil {
					explained[m[1]] = true
				}
			})
		}
	}
	for _, f := range t.goFiles() {
		if f.isTest() || !slices.Contains(errorsOfUsers, f.folder()) {
			continue
		}
		for _, name := range exportedNames(f.syntax) {
			if !isError(name) {
				continue
			}
			declared[name.Name] = true
			if !explained[name.Name] {
				broken = append(broken, t.at(f, name.Pos(), "%s has no line in %s", name.Name, errorGlossary))
			}
		}
	}
	for _, f := range t.files {
		if f.path == errorGlossary {
			eachLine(f, func(number int, line string) {
				if m := glossaryLine.FindStringSubmatch(line); m != nil && !declared[m[1]] {
					broken = append(broken, violation{f.path, number, "there is no " + m[1]})
				}
			})
		}
	}
	return broken
}

// isError tells by the name, as errors are named: a value ErrX, or a type XError.
func isError(name *ast.Ident) bool {
	return strings.HasPrefix(name.Name, "Err") || strings.HasSuffix(name.Name, "Error")
}

// testName is how a document names a test.
var testName = regexp.MustCompile("`((?:Test|Fuzz|Example)[A-Za-z0-9_]*)`")

// guaranteesAreProven holds that each item of the page of guarantees names a test, and
// that every test it names exists.
func guaranteesAreProven(t *tree) []violation {
	tests := map[string]bool{}
	for _, f := range t.goFiles() {
		if !f.isTest() {
			continue
		}
		for _, declaration := range f.syntax.Decls {
			if d, ok := declaration.(*ast.FuncDecl); ok && d.Recv == nil && token.IsExported(d.Name.Name) {
				tests[d.Name.Name] = true
			}
		}
	}
	var broken []violation
	for _, f := range t.files {
		if f.path != guarantees {
			continue
		}
		eachLine(f, func(number int, line string) {
			named := testName.FindAllStringSubmatch(line, -1)
			if strings.HasPrefix(line, "- ") && len(named) == 0 {
				broken = append(broken, violation{f.path, number, "a guarantee that names no test"})
			}
			for _, m := range named {
				if !tests[m[1]] {
					broken = append(broken, violation{f.path, number, fmt.Sprintf("there is no %s", m[1])})
				}
			}
		})
	}
	return broken
}

func eachLine(f file, do func(number int, line string)) {
	number := 0
	for line := range bytes.Lines(f.text) {
		number++
		do(number, string(line))
	}
}

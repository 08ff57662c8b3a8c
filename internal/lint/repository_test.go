package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
	"unicode"
)

// maxLines is the length at which a file has taken on a second job.
const maxLines = 600

// filesAreShort holds the length of everything written by hand.
func filesAreShort(t *tree) []violation {
	var broken []violation
	for _, f := range t.files {
		if !isWrittenByHand(f) {
			continue
		}
		lines := bytes.Count(f.text, []byte("\n"))
		if lines > maxLines {
			broken = append(broken, violation{f.path, lines, fmt.Sprintf("%d lines, more than %d", lines, maxLines)})
		}
	}
	return broken
}

func isWrittenByHand(f file) bool {
	if f.syntax != nil {
		return !ast.IsGenerated(f.syntax)
	}
	switch path.Ext(f.path) {
	case ".md":
		// A changelog only grows.
		return f.path != "CHANGELOG.md"
	case ".proto", ".sh", ".yml", ".yaml":
		return !bytes.HasPrefix(f.text, []byte("# Code generated "))
	}
	return false
}

// emptyNames say nothing about what is inside.
var emptyNames = []string{
	"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils",
}

// namesSaySomething holds that no file, folder or package has an empty name.
func namesSaySomething(t *tree) []violation {
	var broken []violation
	for _, f := range t.files {
		if within(f.path, "testdata") {
			continue
		}
		for _, element := range strings.Split(f.path, "/") {
			if word, found := emptyWord(element); found {
				broken = append(broken, violation{f.path, 1, fmt.Sprintf("the name %q says nothing", word)})
			}
		}
		if f.syntax == nil {
			continue
		}
		if word, found := emptyWord(f.syntax.Name.Name); found {
			broken = append(broken, t.at(f, f.syntax.Name.Pos(), "the package name %q says nothing", word))
		}
	}
	return broken
}

// emptyWord looks for an empty name among the words of a file name.
func emptyWord(element string) (word string, found bool) {
	words := strings.FieldsFunc(strings.ToLower(element), func(r rune) bool {
		return r == '_' || r == '-' || r == '.'
	})
	at := slices.IndexFunc(words, func(word string) bool { return slices.Contains(emptyNames, word) })
	if at < 0 {
		return "", false
	}
	return words[at], true
}

// everyPackageHasDoc holds that each package says in its doc.go what it is.
func everyPackageHasDoc(t *tree) []violation {
	documented := map[string]bool{}
	first := map[string]file{}
	var folders []string
	for _, f := range t.goFiles() {
		folder := f.folder()
		if _, seen := first[folder]; !seen {
			first[folder] = f
			folders = append(folders, folder)
		}
		if path.Base(f.path) == "doc.go" && f.syntax.Doc.Text() != "" {
			documented[folder] = true
		}
	}
	var broken []violation
	for _, folder := range folders {
		if !documented[folder] {
			broken = append(broken, violation{path.Join(folder, "doc.go"), 1, "package " + first[folder].syntax.Name.Name + " has no doc.go with a package comment"})
		}
	}
	return broken
}

// testsAreNotSkipped holds that a test either runs or does not exist.
func testsAreNotSkipped(t *tree) []violation {
	var broken []violation
	for _, f := range t.goFiles() {
		testing := f.localName("testing")
		if testing == "" {
			continue
		}
		report := func(call *ast.SelectorExpr) {
			broken = append(broken, t.at(f, call.Pos(), "a test is skipped"))
		}
		ast.Walk(skipFinder{testing: testing, report: report}, f.syntax)
	}
	return broken
}

// skipFinder walks a file and knows which names stand for a test at each place.
type skipFinder struct {
	testing string          // the file's name for package testing
	tests   map[string]bool // parameters in scope, true for those of a testing type
	report  func(*ast.SelectorExpr)
}

func (s skipFinder) Visit(node ast.Node) ast.Visitor {
	switch node := node.(type) {
	case *ast.FuncDecl:
		return s.inside(node.Type)
	case *ast.FuncLit:
		return s.inside(node.Type)
	case *ast.SelectorExpr:
		name, isName := node.X.(*ast.Ident)
		isSkip := node.Sel.Name == "Skip" || node.Sel.Name == "Skipf" || node.Sel.Name == "SkipNow"
		if isName && isSkip && s.tests[name.Name] {
			s.report(node)
		}
	}
	return s
}

// inside is the finder for the body of a function.
func (s skipFinder) inside(function *ast.FuncType) skipFinder {
	tests := map[string]bool{}
	for name, isTest := range s.tests {
		tests[name] = isTest
	}
	for _, parameter := range function.Params.List {
		for _, name := range parameter.Names {
			tests[name.Name] = s.isTestingType(parameter.Type)
		}
	}
	s.tests = tests
	return s
}

func (s skipFinder) isTestingType(expression ast.Expr) bool {
	if pointer, isPointer := expression.(*ast.StarExpr); isPointer {
		expression = pointer.X
	}
	selector, isSelector := expression.(*ast.SelectorExpr)
	if !isSelector {
		return false
	}
	name, isName := selector.X.(*ast.Ident)
	return isName && name.Name == s.testing
}

// machinePaths are the beginnings of paths that exist on one machine only.
var machinePaths = []string{"/home/", "/mnt/", "/root/", "/tmp/", "/Users/"}

// noMachinePaths holds that nothing points outside the repository. The files
// with this rule have to name what it forbids.
func noMachinePaths(t *tree) []violation {
	var broken []violation
	for _, f := range t.files {
		if f.path == "internal/lint/repository_test.go" || f.path == "internal/lint/lint_test.go" {
			continue
		}
		for _, forbidden := range machinePaths {
			if offset := pathStart(f.text, forbidden); offset >= 0 {
				line := bytes.Count(f.text[:offset], []byte("\n")) + 1
				broken = append(broken, violation{f.path, line, "a path of one machine: " + forbidden})
			}
		}
	}
	return broken
}

// pathStart finds where a path begins with the given text, -1 for nowhere. A
// path starts a word: "example.org/home/" and "network/home/" are none.
func pathStart(text []byte, beginning string) int {
	for from := 0; ; {
		offset := bytes.Index(text[from:], []byte(beginning))
		if offset < 0 {
			return -1
		}
		offset += from
		if offset == 0 || !isPathByte(text[offset-1]) {
			return offset
		}
		from = offset + 1
	}
}

func isPathByte(b byte) bool {
	return b >= 0x80 || unicode.IsLetter(rune(b)) || unicode.IsDigit(rune(b)) || strings.IndexByte("._-~/", b) >= 0
}

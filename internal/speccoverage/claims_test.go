package speccoverage

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// claimant is a test or a fuzz target, with what it says to prove.
type claimant struct {
	name    string // folder.TestName; the root is "rookery"
	at      string // file:line
	rules   []string
	threats []string
}

// problem is a place and what is wrong with it.
type problem struct{ at, text string }

func (p problem) String() string { return p.at + ": " + p.text }

// readClaims parses every test file below root.
func readClaims(root string) ([]claimant, []problem, error) {
	var claimants []claimant
	var problems []problem
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != root && leavesTheModule(name, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		found, wrong, err := claimsOf(filepath.ToSlash(relative), text)
		claimants = append(claimants, found...)
		problems = append(problems, wrong...)
		return err
	})
	return claimants, problems, err
}

// leavesTheModule tells what the go command does not look into either.
func leavesTheModule(folder, base string) bool {
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil
}

// claimsOf reads one test file.
func claimsOf(name string, text []byte) ([]claimant, []problem, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, err
	}
	at := func(pos token.Pos) string { return fmt.Sprintf("%s:%d", name, files.Position(pos).Line) }
	var claimants []claimant
	docs := map[*ast.CommentGroup]bool{}
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || !isTest(function) {
			continue
		}
		docs[function.Doc] = true
		claimants = append(claimants, claimant{
			name:    packageOf(name) + "." + function.Name.Name,
			at:      at(function.Pos()),
			rules:   claimedRules(function.Doc),
			threats: claimedThreats(function),
		})
	}
	// A claim elsewhere would be read by people and counted by nobody.
	var problems []problem
	for _, comment := range file.Comments {
		if !docs[comment] && len(claimedRules(comment)) > 0 {
			problems = append(problems, problem{at(comment.Pos()), "a claim that is not in the doc comment of a test"})
		}
	}
	return claimants, problems, nil
}

func isTest(function *ast.FuncDecl) bool {
	name := function.Name.Name
	return function.Recv == nil && name != "TestMain" && (strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz"))
}

func packageOf(file string) string {
	if folder := path.Dir(file); folder != "." {
		return folder
	}
	return "rookery"
}

// claimedRules are the ids in the lines of a comment that begin with "Spec:".
func claimedRules(comment *ast.CommentGroup) []string {
	var ids []string
	for line := range strings.SplitSeq(comment.Text(), "\n") {
		if claim, ok := strings.CutPrefix(strings.TrimSpace(line), "Spec:"); ok {
			ids = append(ids, strings.Fields(strings.ReplaceAll(claim, ",", " "))...)
		}
	}
	return ids
}

var (
	threatInComment = regexp.MustCompile(`\bT[0-9]{2}\b`)
	threatInName    = regexp.MustCompile(`(?:[a-z0-9_]|Test)(T[0-9]{2})(?:[^0-9]|$)`)
)

func claimedThreats(function *ast.FuncDecl) []string {
	numbers := threatInComment.FindAllString(function.Doc.Text(), -1)
	for _, match := range threatInName.FindAllStringSubmatch(function.Name.Name, -1) {
		numbers = append(numbers, match[1])
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// modulePath is the module whose packages the import rules are about.
const modulePath = "github.com/rookery-im/rookery"

// file is one text file of the tree. Go files also carry their syntax.
type file struct {
	path   string // slash-separated, relative to the root of the tree
	text   []byte
	syntax *ast.File // nil unless the file is Go source
}

// tree is what the rules look at.
type tree struct {
	files   []file // ascending by path
	fileSet *token.FileSet
}

// violation is one place that breaks a rule.
type violation struct {
	path string
	line int
	text string
}

func (v violation) String() string {
	return fmt.Sprintf("%s:%d: %s", v.path, v.line, v.text)
}

// skippedFolders hold nothing that belongs to the source tree.
var skippedFolders = []string{".git", "bin"}

// loadTree reads every text file below root and parses the Go files.
func loadTree(t *testing.T, root string) *tree {
	t.Helper()
	loaded := &tree{fileSet: token.NewFileSet()}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains(skippedFolders, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || isBuildOutput(entry.Name()) {
			return nil
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if bytes.IndexByte(text, 0) >= 0 {
			return nil
		}
		added := file{path: filepath.ToSlash(relative), text: text}
		if strings.HasSuffix(added.path, ".go") {
			mode := parser.ParseComments | parser.SkipObjectResolution
			if added.syntax, err = parser.ParseFile(loaded.fileSet, added.path, text, mode); err != nil {
				return err
			}
		}
		loaded.files = append(loaded.files, added)
		return nil
	})
	if err != nil {
		t.Fatalf("reading the tree: %v", err)
	}
	slices.SortFunc(loaded.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return loaded
}

// isBuildOutput names what .gitignore keeps out of the repository.
func isBuildOutput(name string) bool {
	switch path.Ext(name) {
	case ".test", ".out", ".prof":
		return true
	}
	return false
}

// at is the violation at a position of a Go file.
func (t *tree) at(f file, pos token.Pos, format string, args ...any) violation {
	return violation{f.path, t.fileSet.Position(pos).Line, fmt.Sprintf(format, args...)}
}

// goFiles are the files with syntax.
func (t *tree) goFiles() []file {
	var found []file
	for _, f := range t.files {
		if f.syntax != nil {
			found = append(found, f)
		}
	}
	return found
}

// folder is the file's folder; the root of the tree is ".".
func (f file) folder() string { return path.Dir(f.path) }

func (f file) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// in says whether the file lies in one of the folders or below it.
func (f file) in(folders ...string) bool { return within(f.folder(), folders...) }

// within says whether a folder (or an import path) is one of the given ones or
// lies below one.
func within(folder string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(above string) bool {
		return folder == above || strings.HasPrefix(folder, above+"/")
	})
}

// importedPackage is one import of a file.
type importedPackage struct {
	path string
	pos  token.Pos
}

func (f file) imports() []importedPackage {
	var found []importedPackage
	for _, spec := range f.syntax.Imports {
		// The parser has accepted the literal, so it can be unquoted.
		imported, _ := strconv.Unquote(spec.Path.Value)
		found = append(found, importedPackage{imported, spec.Pos()})
	}
	return found
}

// ownFolder is the folder of a package of this module; the root package is ".".
func ownFolder(imported string) (folder string, own bool) {
	if imported == modulePath {
		return ".", true
	}
	return strings.CutPrefix(imported, modulePath+"/")
}

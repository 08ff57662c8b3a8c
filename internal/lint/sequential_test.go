package lint

import (
	"go/ast"
	"slices"
	"strings"
)

// sequentialVariable names, in the Makefile, the folders whose tests are spared
// the race detector.
const sequentialVariable = "SEQUENTIAL :="

// sequentialStartsNothing holds that packages which are not tested under the
// race detector, and their tests, start nothing at the same time as anything
// else, and use no package of ours that may.
func sequentialStartsNothing(t *tree) []violation {
	folders := sequentialFolders(t)
	var broken []violation
	for _, f := range t.goFiles() {
		if !slices.Contains(folders, f.folder()) {
			continue
		}
		for _, imported := range f.imports() {
			folder, own := ownFolder(imported.path)
			if own && !slices.Contains(folders, folder) && !slices.Contains(generatedFolders, folder) {
				broken = append(broken, t.at(f, imported.pos, "%s is raced, so what uses it has to be", folder))
			}
		}
		ast.Inspect(f.syntax, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.GoStmt:
				broken = append(broken, t.at(f, node.Pos(), "a goroutine that the race detector would not see"))
			case *ast.SelectorExpr:
				if node.Sel.Name == "Parallel" || node.Sel.Name == "RunParallel" {
					broken = append(broken, t.at(f, node.Pos(), "%s, which the race detector would not see", node.Sel.Name))
				}
			}
			return true
		})
	}
	return broken
}

// generatedFolders hold messages of protobuf, which start nothing.
var generatedFolders = []string{"proto/wire/internal/wirepb"}

// sequentialFolders are those that the Makefile names.
func sequentialFolders(t *tree) []string {
	var folders []string
	for _, f := range t.files {
		if f.path != "Makefile" {
			continue
		}
		for line := range strings.Lines(string(f.text)) {
			if rest, ok := strings.CutPrefix(line, sequentialVariable); ok {
				folders = append(folders, strings.Fields(rest)...)
			}
		}
	}
	return folders
}

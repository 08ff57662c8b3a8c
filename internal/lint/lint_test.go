package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rule is one law of the house, with trees that show it at work.
type rule struct {
	name  string
	check func(*tree) []violation
	// broken files each break the rule at least once, fine files never do.
	broken, fine map[string]string
}

const testImport = "import \"testing\"\n"

var rules = []rule{
	{
		name:  "imports point one way",
		check: importsPointOneWay,
		broken: map[string]string{
			"x3dh/a.go":            "package x3dh\nimport _ \"" + modulePath + "/ratchet\"\n",
			"ratchet/a.go":         "package ratchet\nimport _ \"" + modulePath + "/sessionactor\"\n",
			"sessionactor/a.go":    "package sessionactor\nimport _ \"" + modulePath + "/deviceactor\"\n",
			"deviceactor/a.go":     "package deviceactor\nimport _ \"" + modulePath + "\"\n",
			"persistence/a.go":     "package persistence\nimport _ \"" + modulePath + "/transport\"\n",
			"engine.go":            "package rookery\nimport _ \"" + modulePath + "/cmd/rookery\"\n",
			"internal/curve/a.go":  "package curve\nimport _ \"" + modulePath + "/internal/sim\"\n",
			"nowhere/a.go":         "package nowhere\n",
			"actors/deeper/a.go":   "package deeper\nimport _ \"" + modulePath + "/persistence\"\n",
			"internal/secret/a.go": "package secret\nimport _ \"" + modulePath + "/internal/curve\"\n",
		},
		fine: map[string]string{
			"ratchet/b.go":            "package ratchet\nimport _ \"" + modulePath + "/internal/curve\"\n",
			"ratchet/b_test.go":       "package ratchet\nimport _ \"" + modulePath + "/x3dh\"\n",
			"deviceactor/b.go":        "package deviceactor\nimport _ \"" + modulePath + "/sessionactor\"\n",
			"internal/sim/b.go":       "package sim\nimport _ \"" + modulePath + "\"\n",
			"cmd/rookery/b.go":        "package main\nimport _ \"" + modulePath + "/internal/sim\"\n",
			"persistence/pebble/b.go": "package pebble\nimport _ \"" + modulePath + "/persistence\"\n",
			"identity.go":             "package rookery\nimport _ \"" + modulePath + "/deviceactor\"\n",
		},
	},
	{
		name:  "the core is pure",
		check: coreIsPure,
		broken: map[string]string{
			"x3dh/actors.go":      "package x3dh\nimport _ \"" + modulePath + "/actors\"\n",
			"x3dh/store.go":       "package x3dh\nimport _ \"" + modulePath + "/persistence/memory\"\n",
			"x3dh/network.go":     "package x3dh\nimport _ \"" + modulePath + "/transport\"\n",
			"x3dh/log.go":         "package x3dh\nimport _ \"log/slog\"\n",
			"x3dh/random.go":      "package x3dh\nimport _ \"crypto/rand\"\n",
			"ratchet/disk.go":     "package ratchet\nimport _ \"os\"\n",
			"ratchet/http.go":     "package ratchet\nimport _ \"net/http\"\n",
			"ratchet/actor.go":    "package ratchet\nimport _ \"github.com/asynkron/protoactor-go/actor\"\n",
			"ratchet/clock.go":    "package ratchet\nimport \"time\"\nvar made = time.Now()\n",
			"ratchet/renamed.go":  "package ratchet\nimport clock \"time\"\nvar now = clock.Now\n",
			"ratchet/parallel.go": "package ratchet\nfunc f() { go f() }\n",
		},
		fine: map[string]string{
			"x3dh/fine.go":         "package x3dh\nimport \"time\"\nconst day = 24 * time.Hour\n",
			"ratchet/fine_test.go": "package ratchet\nimport \"time\"\nvar made = time.Now()\n",
			"sessionactor/fine.go": "package sessionactor\nimport _ \"" + modulePath + "/actors\"\n",
			"ratchet/logarithm.go": "package ratchet\nimport _ \"example.org/log\"\n",
		},
	},
	{
		name:  "only the root and commands choose implementations",
		check: onlyTheRootAndCommandsChoose,
		broken: map[string]string{
			"deviceactor/a.go":  "package deviceactor\nimport _ \"" + modulePath + "/persistence/pebble\"\n",
			"sessionactor/a.go": "package sessionactor\nimport _ \"" + modulePath + "/persistence/memory\"\n",
			"internal/sim/a.go": "package sim\nimport _ \"" + modulePath + "/transport/memory\"\n",
			"persistence/a.go":  "package persistence\nimport _ \"" + modulePath + "/persistence/pebble\"\n",
		},
		fine: map[string]string{
			"engine.go":                "package rookery\nimport _ \"" + modulePath + "/persistence/pebble\"\n",
			"cmd/rookery/b.go":         "package main\nimport _ \"" + modulePath + "/transport/memory\"\n",
			"examples/bot/b.go":        "package main\nimport _ \"" + modulePath + "/transport/memory\"\n",
			"persistence/b_test.go":    "package persistence\nimport _ \"" + modulePath + "/persistence/memory\"\n",
			"sessionactor/port.go":     "package sessionactor\nimport _ \"" + modulePath + "/persistence\"\n",
			"persistence/pebble/fs.go": "package pebble\nimport _ \"" + modulePath + "/persistence/pebble/internal/modes\"\n",
		},
	},
	{
		name:  "libraries stay with their keepers",
		check: librariesStayWithTheirKeepers,
		broken: map[string]string{
			"engine.go":             "package rookery\nimport _ \"github.com/asynkron/protoactor-go/actor\"\n",
			"engine_test.go":        "package rookery\nimport _ \"github.com/asynkron/protoactor-go/actor\"\n",
			"persistence/a.go":      "package persistence\nimport _ \"github.com/cockroachdb/pebble/v2\"\n",
			"persistence/a_test.go": "package persistence\nimport _ \"github.com/cockroachdb/pebble/v2\"\n",
			"persistence/b.go":      "package persistence\nimport _ \"github.com/cockroachdb/pebble/v2/vfs\"\n",
		},
		fine: map[string]string{
			"actors/b.go":                  "package actors\nimport _ \"github.com/asynkron/protoactor-go/actor\"\n",
			"bundleactor/b.go":             "package bundleactor\nimport _ \"github.com/asynkron/protoactor-go/actor\"\n",
			"persistence/b_test.go":        "package persistence\nimport _ \"github.com/cockroachdb/pebble/v2/vfs/errorfs\"\n",
			"persistence/pebble/b_test.go": "package pebble\nimport _ \"github.com/cockroachdb/pebble/v2/vfs\"\n",
		},
	},
	{
		name:  "files are short",
		check: filesAreShort,
		broken: map[string]string{
			"a.go":      "package rookery\n" + strings.Repeat("\n", maxLines),
			"a_test.go": "package rookery\n" + strings.Repeat("\n", maxLines),
			"README.md": strings.Repeat("\n", maxLines+1),
		},
		fine: map[string]string{
			"exact.go":     "package rookery\n" + strings.Repeat("\n", maxLines-1),
			"made.pb.go":   "// Code generated by protoc-gen-go. DO NOT EDIT.\n\npackage rookery\n" + strings.Repeat("\n", maxLines),
			"made.yaml":    "# Code generated by a plugin. DO NOT EDIT.\n" + strings.Repeat("\n", maxLines),
			"CHANGELOG.md": strings.Repeat("\n", maxLines+1),
			"go.sum":       strings.Repeat("\n", maxLines+1),
		},
	},
	{
		name:  "names say something",
		check: namesSaySomething,
		broken: map[string]string{
			"util/doc.go":       "package util\n",
			"store_helpers.go":  "package rookery\n",
			"helper_test.go":    "package rookery\n",
			"session/common.go": "package session\n",
			"manager.go":        "package rookery\n",
			"named.go":          "package utils\n",
		},
		fine: map[string]string{
			"committer.go":               "package rookery\n",
			"utilisation.go":             "package rookery\n",
			"testdata/common_start.json": "{}\n",
		},
	},
	{
		name:  "every package has a doc.go",
		check: everyPackageHasDoc,
		broken: map[string]string{
			"bare/doc.go":        "package bare\n",
			"onlytests/doc.go":   "package onlytests\n",
			"cmd/rookery/doc.go": "// A comment that belongs to nothing.\n\npackage main\n",
		},
		fine: map[string]string{
			"told/doc.go":      "// Package told says what it is.\npackage told\n",
			"told/told.go":     "package told\n",
			"told/one_test.go": "package told_test\n",
			// Their doc.go is the place that is reported.
			"onlytests/one_test.go": "package onlytests\n",
		},
	},
	{
		name:  "tests are not skipped",
		check: testsAreNotSkipped,
		broken: map[string]string{
			"a_test.go": "package rookery\n" + testImport + "func TestA(t *testing.T) { t.Skip(\"later\") }\n",
			"b_test.go": "package rookery\n" + testImport + "func BenchmarkB(it *testing.B) { it.SkipNow() }\n",
			"c_test.go": "package rookery\n" + testImport + "func TestC(t *testing.T) { func() { t.Skipf(\"later\") }() }\n",
			"suite.go":  "package rookery\n" + testImport + "func Run(tb testing.TB) { tb.Skip() }\n",
			"d_test.go": "package rookery\n" + testImport + "func TestD(t *testing.T) { t.Run(\"x\", func(t *testing.T) { t.Skip() }) }\n",
		},
		fine: map[string]string{
			"e_test.go":  "package rookery\n" + testImport + "func TestE(t *testing.T) { s.Skip(3); t.Log() }\n",
			"f_test.go":  "package rookery\n" + testImport + "func TestF(t *testing.T) { check(func(t *rapid.T) { t.Skip() }) }\n",
			"scanner.go": "package rookery\nfunc skip(t *reader) { t.Skip(3) }\n",
		},
	},
	{
		name:  "what is not raced starts nothing",
		check: sequentialStartsNothing,
		broken: map[string]string{
			"ratchet/a.go":          "package ratchet\nfunc f() { go f() }\n",
			"ratchet/a_test.go":     "package ratchet\n" + testImport + "func TestA(t *testing.T) { t.Parallel() }\n",
			"x3dh/a_test.go":        "package x3dh\n" + testImport + "func BenchmarkA(b *testing.B) { b.RunParallel(nil) }\n",
			"internal/curve/a.go":   "package curve\nimport _ \"" + modulePath + "/internal/keypool\"\n",
			"internal/curve/a_t.go": "package curve\nimport _ \"" + modulePath + "\"\n",
		},
		fine: map[string]string{
			"Makefile":            sequentialVariable + " ratchet x3dh internal/curve proto/wire\n",
			"ratchet/b.go":        "package ratchet\nimport _ \"" + modulePath + "/x3dh\"\n",
			"proto/wire/b.go":     "package wire\nimport _ \"" + modulePath + "/proto/wire/internal/wirepb\"\n",
			"internal/keypool.go": "package internal\nfunc f() { go f() }\n",
			"x3dh/deeper/b.go":    "package deeper\nfunc f() { go f() }\n",
		},
	},
	{
		name:  "no machine paths",
		check: noMachinePaths,
		broken: map[string]string{
			"README.md":    "see https://example.org/home/ and /home/notes\n",
			"b.go":         "package rookery\n\nconst dir = \"/mnt/vectors\"\n",
			"Makefile":     "all:\n\tcp x /root/x\n",
			"docs/home.md": "`/home/someone/rookery`\n",
			"c.yml":        "dir: /tmp/x\n",
			"d.json":       "{\"dir\":\"/Users/main\"}\n",
		},
		fine: map[string]string{
			"docs/fine.md": "the network/home/ unit; https://example.org/home/; /homes\n",
			"e.go":         "package rookery\n\nconst dir = \"../../testdata\"\n",
		},
	},
	{
		name:   "the root package is small",
		check:  rootIsSmall,
		broken: map[string]string{"z.go": "package rookery\n\ntype (\n" + manyTypes(maxRootNames) + ")\n"},
		fine: map[string]string{
			"a.go":       "package rookery\n\nfunc One() {}\n\nfunc none() {}\n\nfunc (t T0) Method() {}\n",
			"b_test.go":  "package rookery\n\nfunc Another() {}\n",
			"other/a.go": "package other\n\nfunc Another() {}\n",
		},
	},
	{
		name:  "errors are explained",
		check: errorsAreExplained,
		broken: map[string]string{
			"errors.go":      "package rookery\n\nvar ErrUnheardOf error\n",
			"kind.go":        "package rookery\n\ntype StrangeError struct{}\n",
			"cause/calls.go": "package cause\n\nvar (\n\tErrKnown error\n\tErrSilent error\n)\n",
			"docs/errors.md": "| `ErrKnown` | it | that |\n| `ErrHere` | it | that |\n| `ErrGone` | it | that |\n",
		},
		fine: map[string]string{
			"here.go":        "package rookery\n\nvar ErrHere error\n",
			"ratchet/own.go": "package ratchet\n\nvar ErrOfItsOwn error\n",
		},
	},
	{
		name:  "guarantees are proven",
		check: guaranteesAreProven,
		broken: map[string]string{
			"docs/guarantees.md": "- It holds.\n- It holds, `TestThere`.\n",
		},
		fine: map[string]string{
			"a_test.go":     "package rookery\n\nfunc TestThere(t *testing.T) {}\n",
			"docs/other.md": "- `TestNowhere`\n",
		},
	},
	{
		name:  "packaging names what exists",
		check: packagingNamesWhatExists,
		broken: map[string]string{
			"packaging/alerts.yml":       "expr: rookery_gone_total > 0\n",
			"packaging/part.json":        "\"expr\": \"rookery_sent_total_bucket\"\n",
			"packaging/rookery.service":  "ExecStart=/usr/local/bin/rookery serve --dir=x --gone\n",
			"packaging/deeper/list.yaml": "command:\n  - --gone=x\n",
			"packaging/Dockerfile":       "ENV ROOKERY_GONE=x\n",
		},
		fine: map[string]string{
			"docs/metrics.md":     "| `rookery_sent_total` | counter | messages |\n| `rookery_seconds` | histogram | seconds |\n",
			"cmd/rookery/a.go":    "package main\n\ntype t struct {\n\tDir string `name:\"dir\" env:\"ROOKERY_DIR\"`\n}\n",
			"packaging/fine.json": "\"expr\": \"rookery_sent_total / rookery_seconds_bucket\"\n",
			"packaging/fine.yaml": "command:\n  - --dir=x # ROOKERY_DIR\n",
			"packaging/README.md": "--gone\n",
			"packaging/image":     "COPY --from=build a b\n",
		},
	},
	{
		name:  "dashboards show the metrics",
		check: dashboardsShowTheMetrics,
		broken: map[string]string{
			"docs/metrics.md":       "| `rookery_shown` | gauge | a | `cause`, `stage` | |\n| `rookery_seconds` | histogram | b | | |\n| `rookery_hidden` | gauge | c | | |\n",
			"packaging/alerts.yml":  "expr: rookery_shown{direction=~\"x\"} > 0\n",
			"packaging/grouped.yml": "expr: sum by (cause, limit) (rookery_shown) > 0\n",
			dashboardsFolder + "/over.json": `{"panels":[{"id":1,"gridPos":{"x":0,"y":0,"w":12,"h":4}},` +
				`{"id":2,"gridPos":{"x":11,"y":3,"w":12,"h":4}}]}`,
			dashboardsFolder + "/twice.json":  `{"panels":[{"id":1,"gridPos":{"x":0,"y":0,"w":1,"h":1}},{"id":1,"gridPos":{"x":1,"y":0,"w":1,"h":1}}]}`,
			dashboardsFolder + "/beside.json": `{"panels":[{"id":1,"gridPos":{"x":20,"y":0,"w":8,"h":1}}]}`,
			dashboardsFolder + "/none.json":   "panels",
		},
		fine: map[string]string{
			dashboardsFolder + "/fine.json": `{"panels":[{"id":1,"gridPos":{"x":0,"y":0,"w":12,"h":4}},{"id":2,"gridPos":{"x":12,"y":0,"w":12,"h":4},` + "\n" +
				`"expr": "sum by (cause) (rate(rookery_shown{instance=~\"$instance\",stage=\"x\"}[$__rate_interval]))",` + "\n" +
				`"other": "sum by (le) (rookery_seconds_bucket)"}]}`,
			"packaging/fine.yml":  "expr: rookery_shown{cause=~\"a|b\"}\n",
			"packaging/README.md": "rookery_shown{gone=\"x\"}\n",
		},
	},
}

// manyTypes declares one type a line.
func manyTypes(n int) string {
	var b strings.Builder
	for i := range n {
		_, _ = fmt.Fprintf(&b, "\tT%d int\n", i)
	}
	return b.String()
}

// TestTreeKeepsTheRules applies every rule to this repository.
// Spec: 5.transport.1
func TestTreeKeepsTheRules(t *testing.T) {
	root := filepath.Join("..", "..")
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatalf("the root of the repository: %v", err)
	}
	if !strings.HasPrefix(string(module), "module "+modulePath+"\n") {
		t.Fatalf("go.mod two folders up is not that of %s", modulePath)
	}
	repository := loadTree(t, root)
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, v := range rule.check(repository) {
				t.Error(v)
			}
		})
	}
}

// TestEveryRuleCanFail shows each rule files that break it and files that do
// not, and expects it to tell them apart.
func TestEveryRuleCanFail(t *testing.T) {
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			root := t.TempDir()
			writeFiles(t, root, rule.broken)
			writeFiles(t, root, rule.fine)
			found := map[string]bool{}
			for _, v := range rule.check(loadTree(t, root)) {
				found[v.path] = true
				if _, expected := rule.broken[v.path]; !expected {
					t.Errorf("a fine file was refused: %s", v)
				}
			}
			for name := range rule.broken {
				if !found[name] {
					t.Errorf("%s breaks the rule and was not found", name)
				}
			}
		})
	}
}

// TestTreeLeavesOutBuildOutputs shows that only source files are looked at.
func TestTreeLeavesOutBuildOutputs(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string]string{
		"kept.go":       "package kept\n",
		".ci/run":       "#!/usr/bin/env bash\n",
		".git/config":   "left out",
		"bin/rookery":   "left out",
		"cover.out":     "left out",
		"x3dh.test":     "left out",
		"image.png":     "\x89PNG\x00",
		"testdata/a.go": "package a\n",
	})
	var got []string
	for _, f := range loadTree(t, root).files {
		got = append(got, f.path)
	}
	want := []string{".ci/run", "kept.go", "testdata/a.go"}
	if !slices.Equal(got, want) {
		t.Errorf("files of the tree: got %q, want %q", got, want)
	}
}

func writeFiles(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		target := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
